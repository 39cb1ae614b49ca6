// Randomised checks against a simple model. The seed is printed when a check fails; RILL_TEST_SEED repeats a run.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <doctest/doctest.h>
#include <random>
#include <string>

namespace rill::test {

inline std::uint64_t seed() {
    static const std::uint64_t value = [] {
        const char *given = std::getenv("RILL_TEST_SEED");
        return given != nullptr ? std::stoull(given) : std::random_device{}();
    }();
    return value;
}

class Random {
public:
    // From 0 to `most`.
    std::uint64_t upto(std::uint64_t most) { return std::uniform_int_distribution<std::uint64_t>(0, most)(engine_); }
    bool chance(unsigned percent) { return upto(99) < percent; }
    // Any number of bits, so that every length of a varint occurs.
    std::uint64_t any() { return engine_() >> upto(63); }

private:
    std::mt19937_64 engine_{seed()};
};

}  // namespace rill::test

#define RILL_INFO_SEED() INFO("RILL_TEST_SEED=" << rill::test::seed())
