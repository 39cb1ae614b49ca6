// What a connection is made with: ours only where the user has said nothing, by any of the ways to say it.
#include "conninfo.hpp"
#include "route.hpp"
#include "connection.hpp"
#include "rill/error.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include <unistd.h>

using rill::detail::ConnectPlan;
using rill::detail::Route;
using rill::detail::Target;

namespace {

// Sets a variable for one test. The tests run one after the other.
class Variable {
public:
    Variable(const char *name, const std::string &value) : name_(name) { ::setenv(name, value.c_str(), 1); }
    Variable(const Variable &) = delete;
    Variable &operator=(const Variable &) = delete;
    ~Variable() { ::unsetenv(name_); }

private:
    const char *name_;
};

}  // namespace

TEST_CASE("a dead peer is noticed soon unless the user wants it otherwise") {
    const ConnectPlan plan("host=db dbname=app keepalives_idle=99");
    CHECK(plan.value("connect_timeout") == "5");
    CHECK(plan.value("keepalives") == "1");
    CHECK(plan.value("keepalives_idle") == "99");
    CHECK(plan.value("keepalives_interval") == "2");
    CHECK(plan.value("tcp_user_timeout") == "8000");
    CHECK(plan.value("host") == "db");
}

TEST_CASE("a timeout of the connection string or the environment is obeyed") {
    CHECK(ConnectPlan("connect_timeout=0").connect_timeout().count() == 0);
    CHECK(ConnectPlan("connect_timeout=1").connect_timeout().count() == 2);  // libpq's least
    const Variable timeout("PGCONNECT_TIMEOUT", "17");
    CHECK(ConnectPlan("").connect_timeout().count() == 17);
    CHECK(ConnectPlan("connect_timeout=3").connect_timeout().count() == 3);
}

TEST_CASE("a service file says what it says") {
    const std::string file = "/tmp/rill_service_" + std::to_string(::getpid());
    std::ofstream(file) << "[mine]\nhost=db1,db2\nkeepalives_idle=33\ntcp_user_timeout=44\n";
    {
        const Variable where("PGSERVICEFILE", file);
        const ConnectPlan plan("service=mine dbname=x");
        CHECK(plan.value("keepalives_idle") == "");  // libpq takes it from the file
        CHECK(plan.value("tcp_user_timeout") == "");
        CHECK(plan.value("keepalives_count") == "2");
        CHECK(plan.targets().size() == 2);
    }
    ::unlink(file.c_str());
}

TEST_CASE("a URI and a bare database name are understood") {
    const ConnectPlan uri("postgresql://me@h1:1111,h2:2222/db?keepalives_count=7");
    CHECK(uri.value("host") == "h1,h2");
    CHECK(uri.value("user") == "me");
    CHECK(uri.value("keepalives_count") == "7");
    CHECK(ConnectPlan("it's a db").value("dbname") == "it's a db");
}

TEST_CASE("the application's name tells what the connection is for, unless the user named it") {
    const auto name = [](const ConnectPlan &plan) {
        std::string found = "none";
        for (const auto &[keyword, value] : plan.settings("listen", {}))
            if (keyword == "fallback_application_name")
                found = value;
        return found;
    };
    CHECK(name(ConnectPlan("dbname=x", "app")) == "app listen");
    CHECK(name(ConnectPlan("dbname=x application_name=mine", "app")) == "none");
    const Variable named("PGAPPNAME", "mine");
    CHECK(name(ConnectPlan("dbname=x", "app")) == "none");
}

TEST_CASE("a malformed string is refused without telling the password") {
    for (const char *const bad : {"host=h password=geheim oops", "postgresql://u:geheim@[::1/db", "nonsense=geheim"}) {
        CAPTURE(bad);
        try {
            const ConnectPlan plan(bad);
            FAIL("accepted");
        } catch (const rill::Error &error) {
            CHECK(error.sqlstate() == "08001");
            CHECK(std::string(error.what()).find("geheim") == std::string::npos);
        }
    }
}

TEST_CASE("the lists of hosts, addresses and ports are taken apart and put together") {
    const ConnectPlan plan("host=a,b,/run hostaddr=,::1, port=1,2,");
    CHECK(plan.targets() == std::vector<Target>{{"a", "", "1"}, {"b", "::1", "2"}, {"/run", "", ""}});
    CHECK(ConnectPlan("host=a,b port=5").targets() == std::vector<Target>{{"a", "", "5"}, {"b", "", "5"}});
    CHECK(ConnectPlan("host=a,b port=1,2,3").targets().empty());  // libpq complains about it
    const auto value = [&](std::string_view keyword, const std::vector<Target> &targets) {
        std::string found = "none";
        for (const auto &[name, text] : plan.settings("", targets))
            if (name == keyword) {
                CHECK(found == "none");
                found = text;
            }
        return found;
    };
    const std::vector<Target> found{{"a", "10.0.0.1", "1"}, {"a", "10.0.0.2", "1"}, {"/run", "", ""}};
    CHECK(value("host", found) == "a,a,/run");
    CHECK(value("hostaddr", found) == "10.0.0.1,10.0.0.2,");
    CHECK(value("port", found) == "1,1,");
    CHECK(value("host", {}) == "a,b,/run");
}

TEST_CASE("a route begins behind the one that did not answer, in later rounds too") {
    Route route({{"a", "10.0.0.1", "1"}, {"b", "10.0.0.2", "2"}, {"b", "10.0.0.2", "3"}});
    const auto ports = [&] {
        std::string all;
        for (const auto &target : route.targets())
            all += target.port;
        return all;
    };
    const auto begin = [&] {
        route.begin();
        CHECK(route.known());  // nothing to look up
        route.settle();
    };
    begin();
    CHECK(ports() == "123");
    CHECK(route.pass_over({"b", "10.0.0.2", "2"}));
    CHECK(ports() == "312");
    CHECK(route.pass_over({"b", "10.0.0.2", "3"}));
    CHECK(ports() == "123");
    CHECK_FALSE(route.pass_over({"a", "10.0.0.1", "1"}));
    begin();
    CHECK(ports() == "231");
    CHECK(route.pass_over({"elsewhere", "10.9.9.9", "9"}));
    CHECK(ports() == "231");
}

TEST_CASE("the command's connection options override its connection string, as psql's do") {
    using rill::cli::conninfo;
    const ConnectPlan plan(conninfo({.host = "it's", .port = "1", .user = "", .database = "postgresql://u@h/d"}));
    CHECK(plan.value("host") == "it's");
    CHECK(plan.value("port") == "1");
    CHECK(plan.value("user") == "u");
    CHECK(plan.value("dbname") == "d");
    CHECK(ConnectPlan(conninfo({.host = "", .port = "", .user = "", .database = "d b"})).value("dbname") == "d b");
    CHECK_THROWS_AS((void) conninfo({.host = "", .port = "", .user = "", .database = "a=b"}), rill::Error);
}
