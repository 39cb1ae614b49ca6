// The rivals: ways to append a chunk and to follow a stream, behind one interface, so that every rival is measured by
// the same loop and the same clock.
//
// Kinds: "rill" appends with stream_append and follows with stream_wait and stream_read_since; "rill-read" follows with
// stream_read_since alone, "rill-client" with librill; "plain" inserts into a copy of the table and cannot be followed;
// "notify" adds a NOTIFY trigger, LISTEN and SELECT; "redis" and "nats" exist if built in. "serve",
// "serve-read" and "reference" speak HTTP: rivals_http.cpp.
#pragma once

#include "driver.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace bench {

/// One connection that appends; each call returns when the server has confirmed that the chunk is durable.
class Writer {
public:
    Writer() = default;
    Writer(const Writer &) = delete;
    Writer &operator=(const Writer &) = delete;
    virtual ~Writer() = default;
    /// To stream number `stream`, 1 or more.
    virtual void append(int stream, std::string_view data) = 0;
};

/// Follows stream number `stream` from its current end.
class Follower {
public:
    Follower() = default;
    Follower(const Follower &) = delete;
    Follower &operator=(const Follower &) = delete;
    virtual ~Follower() = default;
    /// Blocks until there is a chunk; the bytes are valid until the next call.
    virtual std::string_view next() = 0;
};

std::unique_ptr<Writer> make_writer(std::string_view kind);
std::unique_ptr<Follower> make_follower(std::string_view kind, int stream);

/// The name of stream number `stream`.
std::string stream_name(int stream);

// One file each; null if the kind is another or not built in.
std::unique_ptr<Writer> postgres_writer(std::string_view kind);
std::unique_ptr<Follower> postgres_follower(std::string_view kind, int stream);
std::unique_ptr<Writer> redis_writer(std::string_view kind);
std::unique_ptr<Follower> redis_follower(std::string_view kind, int stream);
std::unique_ptr<Writer> http_writer(std::string_view kind);
std::unique_ptr<Follower> http_follower(std::string_view kind, int stream);
std::unique_ptr<Writer> nats_writer(std::string_view kind);
std::unique_ptr<Follower> nats_follower(std::string_view kind, int stream);

}  // namespace bench
