// A stream as the protocol sees it: its status, and what PUT has written into its metadata.
//
// The metadata is a JSON object with the members content_type, expires_at (as the client wrote it) and, when the stream
// was created with a body or closed, initial. Others are the users' own and are left alone. A stream that was created
// in SQL has none: it is application/octet-stream. The time to live is the limit max_idle.
#pragma once

#include "rill/client.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace rill::serve {

struct StreamConfig {
    std::string content_type = "application/octet-stream";
    std::optional<std::int64_t> ttl{};  // seconds
    std::optional<std::string> expires_at{};
    bool initial = false;  // the creator's body is the step kInitial; see create.cpp
};

[[nodiscard]] std::string to_metadata(const StreamConfig &config);
[[nodiscard]] StreamConfig config_of(const StreamStatus &status);

// How the protocol carries data of this type.
enum class Framing { bytes, text, json };
[[nodiscard]] Framing framing_of(const std::string &content_type);

// There, and not past its expiry, although the server may not have removed it yet.
[[nodiscard]] bool is_there(const StreamStatus &status);

// The position behind the last chunk with data. Blocks: asks for the chunk's epoch. An empty EOF is not a position of
// its own, so that closing leaves the tail where it was.
[[nodiscard]] Position tail_of(Client &client, const StreamStatus &status);
// The position behind this chunk; without its epoch if that cannot be had (it was trimmed, the database is away).
[[nodiscard]] Position behind(Client &client, const std::string &stream, std::int64_t chunk_id);

}  // namespace rill::serve
