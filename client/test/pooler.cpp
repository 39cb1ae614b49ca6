// See pooler.hpp.
#include "pooler.hpp"

#include "server.hpp"
#include "support.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include <arpa/inet.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rill::test {
namespace {

const char *program() {
    for (const char *const path : {"/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"})
        if (::access(path, X_OK) == 0)
            return path;
    return nullptr;
}

int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const bool bound = ::bind(fd, reinterpret_cast<const sockaddr *>(&address), size) == 0 &&
                       ::getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size) == 0;
    ::close(fd);
    REQUIRE(bound);
    return ntohs(address.sin_port);
}

using Conn = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Rows = std::unique_ptr<PGresult, decltype(&PQclear)>;

}  // namespace

bool no_pooler() { return program() == nullptr; }

Pooler::Pooler(const std::string &mode, int size) : port_(free_port()) {
    std::string pattern = (std::filesystem::temp_directory_path() / "rill-pooler-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    const Conn server(PQconnectdb(test::conninfo().c_str()), &PQfinish);
    REQUIRE(PQstatus(server.get()) == CONNECTION_OK);
    std::ofstream config(directory_ + "/pgbouncer.ini");
    config << "[databases]\n* = host=" << PQhost(server.get()) << " port=" << PQport(server.get())
           << " user=" << PQuser(server.get()) << "\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " << port_
           << "\nunix_socket_dir =\nauth_type = any\nadmin_users = " << PQuser(server.get()) << "\npool_mode = " << mode
           << "\ndefault_pool_size = " << size << "\nlogfile = " << directory_
           << "/log\nmax_client_conn = 1000\nserver_login_retry = 1\n";
    config.close();
    // It does not run as root, and the test server's socket may be open to its own user alone.
    std::filesystem::permissions(directory_, std::filesystem::perms::all);
    start();
}

Pooler::~Pooler() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

void Pooler::start() {
    const std::string file = directory_ + "/pgbouncer.ini";
    const char *const path = program();
    const bool root = ::geteuid() == 0;
    pid_ = ::fork();
    if (pid_ == 0) {
        // Threads of this test have their signals blocked, and that is inherited.
        sigset_t none;
        ::sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        const int null = ::open("/dev/null", O_RDWR);
        ::dup2(null, STDOUT_FILENO);
        ::dup2(null, STDERR_FILENO);
        if (root)
            ::execl(path, "pgbouncer", "-q", "-u", "postgres", file.c_str(), static_cast<char *>(nullptr));
        else
            ::execl(path, "pgbouncer", "-q", file.c_str(), static_cast<char *>(nullptr));
        ::_exit(127);
    }
    REQUIRE(pid_ > 0);
    REQUIRE(eventually([&] {
        const Conn conn(PQconnectdb(conninfo("connect_timeout=10").c_str()), &PQfinish);
        return PQstatus(conn.get()) == CONNECTION_OK;
    }));
}

void Pooler::stop() {
    ::kill(pid_, SIGTERM);  // at once
    ::waitpid(pid_, nullptr, 0);
}

void Pooler::restart() {
    stop();
    start();
}

std::string Pooler::conninfo(const std::string &more) const {
    return test::conninfo("host=127.0.0.1 port=" + std::to_string(port_) + " sslmode=disable " + more);
}

int Pooler::held() {
    const Conn admin(PQconnectdb(conninfo("dbname=pgbouncer").c_str()), &PQfinish);
    const Rows pools(PQexec(admin.get(), "SHOW POOLS"), &PQclear);
    REQUIRE_MESSAGE(PQresultStatus(pools.get()) == PGRES_TUPLES_OK, PQerrorMessage(admin.get()));
    int held = 0;
    const int database = PQfnumber(pools.get(), "database");
    const int active = PQfnumber(pools.get(), "sv_active");
    for (int row = 0; row < PQntuples(pools.get()); ++row)
        if (std::string(PQgetvalue(pools.get(), row, database)) != "pgbouncer")
            held += std::atoi(PQgetvalue(pools.get(), row, active));
    return held;
}

}  // namespace rill::test
