// A name service for the tests: while one of these lives, names below .rill-test have the addresses that it says, and
// looking them up may hang. Everything else is looked up as always. One at a time.
#pragma once

#include <string>
#include <vector>

namespace rill::test {

class Names {
public:
    // The addresses of every name below .rill-test.
    explicit Names(std::vector<std::string> addresses);
    Names(const Names &) = delete;
    Names &operator=(const Names &) = delete;
    // Ends every look-up that hangs.
    ~Names();

    void hang(bool on);
    // How many look-ups hang now.
    [[nodiscard]] static int hanging();
};

}  // namespace rill::test
