// calls COUNT SETUP SQL [PARAMETER…]: one session that runs SETUP, prepares SQL and executes it COUNT times, each a
// transaction of its own, binary results. Prints the backend's process id, by which its instruction count is found. The
// session ends before the driver does, since callgrind writes its file at the session's end.
#include "driver.hpp"

#include <cstdio>
#include <string>

namespace bench {

int calls(const Arguments &arguments) {
    if (arguments.size() < 3)
        throw std::runtime_error("usage: calls COUNT SETUP SQL [PARAMETER…]");
    const long count = std::stol(arguments[0]);
    Session session;
    if (!arguments[1].empty())
        session.run(arguments[1].c_str());
    session.prepare("call", arguments[2].c_str());
    const std::span<const std::string> parameters(arguments.begin() + 3, arguments.end());
    const int pid = PQbackendPID(session.raw());
    const auto start = Clock::now();
    std::int64_t rows = 0;
    for (long i = 0; i < count; ++i)
        rows += PQntuples(session.execute("call", parameters).get());
    std::printf("{\"pid\": %d, \"seconds\": %.6f, \"rows\": %lld}\n", pid, seconds_since(start),
                static_cast<long long>(rows));
    return 0;
}

}  // namespace bench
