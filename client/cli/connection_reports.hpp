// What a command that runs on says on standard error while the database is away: one line when the connection is lost,
// one when it is back.
#pragma once

#include "output.hpp"
#include "rill/stats.hpp"

#include <functional>
#include <string>
#include <utility>

namespace rill::cli {

// For Options::on_event. Thread-safety: the client's background thread.
class ConnectionReports {
public:
    using Print = std::function<void(const std::string &message)>;

    // `whose` is what the lines begin with, if there is more than one client.
    explicit ConnectionReports(Print print = print_error, std::string whose = "")
        : print_(std::move(print)), whose_(std::move(whose)) {}

    void operator()(const Event &event) {
        if (event.channel != Event::Channel::read)
            return;
        // The first connection cannot be lost: that it could not be made is this command's error.
        if (event.kind == Event::Kind::disconnected && up_ && !std::exchange(lost_, true))
            print_(whose_ + "connection lost, retrying: " + event.reason);
        if (event.kind == Event::Kind::connected) {
            up_ = true;
            if (std::exchange(lost_, false))
                print_(whose_ + "connected again");
        }
    }

private:
    Print print_;
    std::string whose_;
    bool up_ = false;
    bool lost_ = false;
};

}  // namespace rill::cli
