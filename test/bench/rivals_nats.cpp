// NATS JetStream: a publish that waits for the server's acknowledgement, and an ordered consumer, on the server that
// BENCH_NATS names. The server decides how durable an acknowledged message is (rivals.py sets sync_interval: always).
#include "rivals.hpp"

#ifdef HAVE_NATS
#include <nats/nats.h>

#include <cstdlib>
#include <stdexcept>
#endif

namespace bench {

#ifdef HAVE_NATS
namespace {

void check(natsStatus status, const char *what) {
    if (status != NATS_OK)
        throw std::runtime_error(std::string(what) + ": " + natsStatus_GetText(status));
}

struct Destroy {
    void operator()(natsConnection *connection) const { natsConnection_Destroy(connection); }
    void operator()(natsSubscription *subscription) const { natsSubscription_Destroy(subscription); }
    void operator()(natsMsg *message) const { natsMsg_Destroy(message); }
    void operator()(jsCtx *context) const { jsCtx_Destroy(context); }
    void operator()(jsPubAck *acknowledgement) const { jsPubAck_Destroy(acknowledgement); }
    void operator()(jsStreamInfo *info) const { jsStreamInfo_Destroy(info); }
};

// A wildcard stands for a whole part between dots.
std::string subject(int stream) { return "bench." + std::to_string(stream); }

class Nats {
public:
    Nats() {
        const char *url = std::getenv("BENCH_NATS");
        natsConnection *connection = nullptr;
        check(natsConnection_ConnectTo(&connection, url != nullptr ? url : ""), "connecting to NATS");
        connection_.reset(connection);
        jsCtx *context = nullptr;
        check(natsConnection_JetStream(&context, connection, nullptr), "JetStream");
        context_.reset(context);
        // One NATS stream holds a subject for each of ours, as recommended for many small streams.
        jsStreamConfig config;
        check(jsStreamConfig_Init(&config), "configuration");
        const char *subjects[] = {"bench.*"};
        config.Name = "bench";
        config.Subjects = subjects;
        config.SubjectsLen = 1;
        config.Storage = js_FileStorage;
        jsStreamInfo *info = nullptr;
        const natsStatus status = js_AddStream(&info, context, &config, nullptr, nullptr);
        const std::unique_ptr<jsStreamInfo, Destroy> destroy(info);
        check(status, "making the stream");
    }

    [[nodiscard]] jsCtx *context() const { return context_.get(); }

private:
    std::unique_ptr<natsConnection, Destroy> connection_;
    std::unique_ptr<jsCtx, Destroy> context_;
};

class NatsWriter : public Writer {
public:
    void append(int stream, std::string_view data) override {
        jsPubAck *acknowledgement = nullptr;
        check(js_Publish(&acknowledgement, nats_.context(), subject(stream).c_str(), data.data(),
                         static_cast<int>(data.size()), nullptr, nullptr),
              "publishing");
        const std::unique_ptr<jsPubAck, Destroy> destroy(acknowledgement);
    }

private:
    Nats nats_;
};

class NatsFollower : public Follower {
public:
    explicit NatsFollower(int stream) {
        jsSubOptions options;
        check(jsSubOptions_Init(&options), "options");
        options.Ordered = true;
        options.Config.DeliverPolicy = js_DeliverNew;
        natsSubscription *subscription = nullptr;
        check(js_SubscribeSync(&subscription, nats_.context(), subject(stream).c_str(), nullptr, &options, nullptr),
              "subscribing");
        subscription_.reset(subscription);
    }

    std::string_view next() override {
        natsMsg *message = nullptr;
        check(natsSubscription_NextMsg(&message, subscription_.get(), 60'000), "waiting for a message");
        message_.reset(message);
        return {natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message))};
    }

private:
    Nats nats_;
    std::unique_ptr<natsSubscription, Destroy> subscription_;
    std::unique_ptr<natsMsg, Destroy> message_;
};

}  // namespace

std::unique_ptr<Writer> nats_writer(std::string_view kind) {
    return kind == "nats" ? std::make_unique<NatsWriter>() : nullptr;
}
std::unique_ptr<Follower> nats_follower(std::string_view kind, int stream) {
    return kind == "nats" ? std::make_unique<NatsFollower>(stream) : nullptr;
}
#else
std::unique_ptr<Writer> nats_writer(std::string_view) { return nullptr; }
std::unique_ptr<Follower> nats_follower(std::string_view, int) { return nullptr; }
#endif

}  // namespace bench
