// Finds the rival of a kind. See rivals.hpp.
#include "rivals.hpp"

#include <stdexcept>

namespace bench {

namespace {

[[noreturn]] void refuse(std::string_view kind, const char *what) {
    throw std::runtime_error("\"" + std::string(kind) + "\" is no " + what + ", or not built in");
}

}  // namespace

std::string stream_name(int stream) { return "bench-" + std::to_string(stream); }

std::unique_ptr<Writer> make_writer(std::string_view kind) {
    for (auto *make : {postgres_writer, redis_writer, nats_writer, http_writer})
        if (auto writer = make(kind))
            return writer;
    refuse(kind, "writer");
}

std::unique_ptr<Follower> make_follower(std::string_view kind, int stream) {
    for (auto *make : {postgres_follower, redis_follower, nats_follower, http_follower})
        if (auto follower = make(kind, stream))
            return follower;
    refuse(kind, "follower");
}

}  // namespace bench
