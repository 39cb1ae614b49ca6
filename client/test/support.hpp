// For several tests: random numbers whose seed is printed, and waiting for a condition with a deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <thread>

namespace rill::test {

inline std::uint64_t seed() {
    static const std::uint64_t the_seed = [] {
        const char *const given = std::getenv("RILL_TEST_SEED");
        const std::uint64_t value = given != nullptr ? std::stoull(given) : std::random_device{}();
        std::cout << "RILL_TEST_SEED=" << value << std::endl;
        return value;
    }();
    return the_seed;
}

class Random {
public:
    // Each test has its own sequence, so that it can be run alone.
    explicit Random(std::uint64_t salt) : engine_(seed() * 1'000'003 + salt) {}
    // From 0 to below `end`.
    std::size_t below(std::size_t end) { return static_cast<std::size_t>(engine_() % end); }
    bool one_in(std::size_t n) { return below(n) == 0; }
    std::string bytes(std::size_t size) {
        std::string out(size, '\0');
        for (char &c : out)
            c = static_cast<char>(engine_() & 0xff);
        return out;
    }

private:
    std::mt19937_64 engine_;
};

// True as soon as the condition holds; false if it does not within a minute.
template <typename Condition>
bool eventually(Condition &&condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

}  // namespace rill::test
