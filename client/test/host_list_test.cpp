// The order in which hosts are tried.
#include "host_list.hpp"

#include <doctest/doctest.h>

#include <string>

using rill::detail::HostList;

TEST_CASE("a round begins behind the host that did not answer, and so do later rounds") {
    HostList list({{"a", "10.0.0.1", "1"}, {"b", "10.0.0.2", "2"}, {"b", "10.0.0.2", "3"}});
    const auto ports = [&] {
        std::string all;
        for (const auto &host : list.hosts())
            all += host.port;
        return all;
    };
    const auto begin = [&] {
        list.begin();
        CHECK(list.resolved());  // nothing to look up
        list.finish();
    };
    begin();
    CHECK(ports() == "123");
    CHECK(list.skip({"b", "10.0.0.2", "2"}));
    CHECK(ports() == "312");
    CHECK(list.skip({"b", "10.0.0.2", "3"}));
    CHECK(ports() == "123");
    CHECK_FALSE(list.skip({"a", "10.0.0.1", "1"}));
    begin();
    CHECK(ports() == "231");
    CHECK(list.skip({"elsewhere", "10.9.9.9", "9"}));
    CHECK(ports() == "231");
}
