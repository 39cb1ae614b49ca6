// A PgBouncer of the test's own in front of the test server, on loopback.
// Thread-safety: one thread at a time.
#pragma once

#include <string>

#include <sys/types.h>

namespace rill::test {

// True where PgBouncer is not installed.
[[nodiscard]] bool no_pooler();

class Pooler {
public:
    // `mode` is transaction or session, `size` how many server connections there may be.
    Pooler(const std::string &mode, int size);
    Pooler(const Pooler &) = delete;
    Pooler &operator=(const Pooler &) = delete;
    ~Pooler();

    // The connection string of the test server through the pooler.
    [[nodiscard]] std::string conninfo(const std::string &more = "") const;
    // Ends it at once, connections included, and starts it again.
    void restart();
    // How many server connections clients hold at this moment.
    [[nodiscard]] int held();

private:
    void start();
    void stop();

    std::string directory_;
    int port_ = 0;
    pid_t pid_ = -1;
};

}  // namespace rill::test
