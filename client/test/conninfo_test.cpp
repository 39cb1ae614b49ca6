// What a connection is made with: our defaults apply only to what the user has left open in every way.
#include "conninfo.hpp"
#include "rill/error.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include <unistd.h>

using rill::detail::Conninfo;
using rill::detail::Host;

namespace {

// Sets a variable during one test. Tests do not run in parallel.
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

TEST_CASE("a dead peer is noticed soon unless the user wants otherwise") {
    const Conninfo conninfo("host=db dbname=app keepalives_idle=99");
    CHECK(conninfo.value("connect_timeout") == "5");
    CHECK(conninfo.value("keepalives") == "1");
    CHECK(conninfo.value("keepalives_idle") == "99");
    CHECK(conninfo.value("keepalives_interval") == "2");
    CHECK(conninfo.value("tcp_user_timeout") == "8000");
    CHECK(conninfo.value("host") == "db");
}

TEST_CASE("connect_timeout comes from the connection string or the environment") {
    CHECK(Conninfo("connect_timeout=0").connect_timeout().count() == 0);
    CHECK(Conninfo("connect_timeout=1").connect_timeout().count() == 2);  // libpq's least
    const Variable timeout("PGCONNECT_TIMEOUT", "17");
    CHECK(Conninfo("").connect_timeout().count() == 17);
    CHECK(Conninfo("connect_timeout=3").connect_timeout().count() == 3);
}

TEST_CASE("the settings of a service file are respected") {
    const std::string file = "/tmp/rill_service_" + std::to_string(::getpid());
    std::ofstream(file) << "[mine]\nhost=db1,db2\nkeepalives_idle=33\ntcp_user_timeout=44\n";
    {
        const Variable where("PGSERVICEFILE", file);
        const Conninfo conninfo("service=mine dbname=x");
        CHECK(conninfo.value("keepalives_idle") == "");  // libpq takes it from the file
        CHECK(conninfo.value("tcp_user_timeout") == "");
        CHECK(conninfo.value("keepalives_count") == "2");
        CHECK(conninfo.hosts().size() == 2);
    }
    ::unlink(file.c_str());
}

TEST_CASE("a URI and a bare database name are understood") {
    const Conninfo uri("postgresql://me@h1:1111,h2:2222/db?keepalives_count=7");
    CHECK(uri.value("host") == "h1,h2");
    CHECK(uri.value("user") == "me");
    CHECK(uri.value("keepalives_count") == "7");
    CHECK(Conninfo("it's a db").value("dbname") == "it's a db");
}

TEST_CASE("the application name says what the connection is for, unless the user chose it") {
    const auto name = [](const Conninfo &conninfo) {
        std::string found = "none";
        for (const auto &[keyword, value] : conninfo.parameters("listen", {}))
            if (keyword == "fallback_application_name")
                found = value;
        return found;
    };
    CHECK(name(Conninfo("dbname=x", "app")) == "app listen");
    CHECK(name(Conninfo("dbname=x application_name=mine", "app")) == "none");
    const Variable named("PGAPPNAME", "mine");
    CHECK(name(Conninfo("dbname=x", "app")) == "none");
}

TEST_CASE("a malformed string is refused without repeating its password") {
    for (const char *const bad : {"host=h password=geheim oops", "postgresql://u:geheim@[::1/db", "nonsense=geheim"}) {
        CAPTURE(bad);
        try {
            const Conninfo conninfo(bad);
            FAIL("accepted");
        } catch (const rill::Error &error) {
            CHECK(error.sqlstate() == "08001");
            CHECK(std::string(error.what()).find("geheim") == std::string::npos);
        }
    }
}

TEST_CASE("the lists of hosts, addresses and ports are split and joined") {
    const Conninfo conninfo("host=a,b,/run hostaddr=,::1, port=1,2,");
    CHECK(conninfo.hosts() == std::vector<Host>{{"a", "", "1"}, {"b", "::1", "2"}, {"/run", "", ""}});
    CHECK(Conninfo("host=a,b port=5").hosts() == std::vector<Host>{{"a", "", "5"}, {"b", "", "5"}});
    CHECK(Conninfo("host=a,b port=1,2,3").hosts().empty());  // libpq complains about it
    const auto value = [&](std::string_view keyword, const std::vector<Host> &hosts) {
        std::string found = "none";
        for (const auto &[name, text] : conninfo.parameters("", hosts))
            if (name == keyword) {
                CHECK(found == "none");
                found = text;
            }
        return found;
    };
    const std::vector<Host> found{{"a", "10.0.0.1", "1"}, {"a", "10.0.0.2", "1"}, {"/run", "", ""}};
    CHECK(value("host", found) == "a,a,/run");
    CHECK(value("hostaddr", found) == "10.0.0.1,10.0.0.2,");
    CHECK(value("port", found) == "1,1,");
    CHECK(value("host", {}) == "a,b,/run");
}
