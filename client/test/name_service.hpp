// A name service for tests: while one of these objects lives, names below .rill-test have the addresses that it was
// given, and looking them up can be made to hang. Other names are looked up as always. One object at a time.
#pragma once

#include <string>
#include <vector>

namespace rill::test {

class NameService {
public:
    // The addresses of every name below .rill-test.
    explicit NameService(std::vector<std::string> addresses);
    NameService(const NameService &) = delete;
    NameService &operator=(const NameService &) = delete;
    // Ends all look-ups that hang.
    ~NameService();

    void hang(bool on);
    // How many look-ups hang now.
    [[nodiscard]] static int hanging();
};

}  // namespace rill::test
