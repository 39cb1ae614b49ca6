// Redis Streams: XADD and XREAD BLOCK through hiredis, on the socket that BENCH_REDIS names. The server decides how
// durable XADD is when it returns (rivals.py starts it with appendfsync always).
#include "rivals.hpp"

#ifdef HAVE_HIREDIS
#include <hiredis/hiredis.h>

#include <cstdlib>
#include <stdexcept>
#endif

namespace bench {

#ifdef HAVE_HIREDIS
namespace {

class Redis {
public:
    Redis() {
        const char *path = std::getenv("BENCH_REDIS");
        context_.reset(redisConnectUnix(path != nullptr ? path : ""));
        if (!context_ || context_->err != 0)
            throw std::runtime_error("connecting to Redis failed");
    }

    struct Free {
        void operator()(redisContext *context) const { redisFree(context); }
        void operator()(redisReply *reply) const { freeReplyObject(reply); }
    };
    using Reply = std::unique_ptr<redisReply, Free>;

    template <typename... T>
    Reply ask(const char *format, T... values) {
        Reply reply(static_cast<redisReply *>(redisCommand(context_.get(), format, values...)));
        if (!reply || reply->type == REDIS_REPLY_ERROR)
            throw std::runtime_error(reply ? reply->str : context_->errstr);
        return reply;
    }

private:
    std::unique_ptr<redisContext, Free> context_;
};

class RedisWriter : public Writer {
public:
    void append(int stream, std::string_view data) override {
        redis_.ask("XADD %s * d %b", stream_name(stream).c_str(), data.data(), data.size());
    }

private:
    Redis redis_;
};

class RedisFollower : public Follower {
public:
    explicit RedisFollower(int stream) : name_(stream_name(stream)) {
        const auto last = redis_.ask("XREVRANGE %s + - COUNT 1", name_.c_str());
        if (last->elements > 0)
            cursor_ = last->element[0]->element[0]->str;
    }

    std::string_view next() override {
        if (!reply_ || at_ >= entries()->elements) {
            reply_ = redis_.ask("XREAD COUNT 1000 BLOCK 60000 STREAMS %s %s", name_.c_str(), cursor_.c_str());
            if (reply_->type == REDIS_REPLY_NIL)
                throw std::runtime_error("no entry came");
            at_ = 0;
        }
        const redisReply *entry = entries()->element[at_++];
        cursor_ = entry->element[0]->str;
        const redisReply *data = entry->element[1]->element[1];
        return {data->str, data->len};
    }

private:
    // [[name, [[id, [field, value]], …]]]
    [[nodiscard]] const redisReply *entries() const { return reply_->element[0]->element[1]; }

    Redis redis_;
    std::string name_;
    std::string cursor_ = "0";
    Redis::Reply reply_;
    std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<Writer> redis_writer(std::string_view kind) {
    return kind == "redis" ? std::make_unique<RedisWriter>() : nullptr;
}
std::unique_ptr<Follower> redis_follower(std::string_view kind, int stream) {
    return kind == "redis" ? std::make_unique<RedisFollower>(stream) : nullptr;
}
#else
std::unique_ptr<Writer> redis_writer(std::string_view) { return nullptr; }
std::unique_ptr<Follower> redis_follower(std::string_view, int) { return nullptr; }
#endif

}  // namespace bench
