// What a command that runs on says on standard error while the database is away: one line when the connection is lost,
// one when it is back.
#pragma once

#include "output.hpp"
#include "rill/stats.hpp"

#include <string>
#include <utility>

namespace rill::cli {

// For Options::on_event. Thread-safety: the client's background thread.
class ConnectionReports {
public:
    // What the lines begin with, if there is more than one client.
    explicit ConnectionReports(std::string whose = "") : whose_(std::move(whose)) {}

    void operator()(const Event &event) {
        if (event.channel != Event::Channel::read)
            return;
        // The first connection cannot be lost: that it could not be made is this command's error.
        if (event.kind == Event::Kind::disconnected && up_ && !std::exchange(lost_, true))
            print_error(whose_ + "connection lost, retrying: " + event.reason);
        if (event.kind == Event::Kind::connected) {
            up_ = true;
            if (std::exchange(lost_, false))
                print_error(whose_ + "connected again");
        }
    }

private:
    std::string whose_;
    bool up_ = false;
    bool lost_ = false;
};

}  // namespace rill::cli
