// The benchmark's driver: "driver MODE ARGUMENT…". See driver.hpp; each mode's file describes what it measures.
#include "driver.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <random>

namespace bench {

const char *reader_conninfo() {
    const char *given = std::getenv("BENCH_READER");
    return given != nullptr ? given : "";
}

Session::Session(const char *conninfo) : connection_(PQconnectdb(conninfo)) {
    if (PQstatus(raw()) != CONNECTION_OK)
        fail("connecting");
}

void Session::fail(const std::string &what) const { throw std::runtime_error(what + ": " + PQerrorMessage(raw())); }

Result Session::check(Result result, const char *what) const {
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail(what);
    return result;
}

void Session::run(const char *sql) { check(Result(PQexec(raw(), sql)), sql); }

void Session::prepare(const char *name, const char *sql) {
    check(Result(PQprepare(raw(), name, sql, 0, nullptr)), sql);
}

Result Session::execute(const char *name, std::span<const std::string> parameters) {
    std::vector<const char *> values;
    for (const std::string &parameter : parameters)
        values.push_back(parameter.c_str());
    return check(
        Result(PQexecPrepared(raw(), name, static_cast<int>(values.size()), values.data(), nullptr, nullptr, 1)), name);
}

void Session::send(const char *name, std::span<const std::string> parameters) {
    std::vector<const char *> values;
    for (const std::string &parameter : parameters)
        values.push_back(parameter.c_str());
    if (PQsendQueryPrepared(raw(), name, static_cast<int>(values.size()), values.data(), nullptr, nullptr, 1) == 0)
        fail(name);
}

Result Session::receive() {
    Result result(PQgetResult(raw()));
    return result ? check(std::move(result), "receiving") : nullptr;
}

std::int64_t int64_at(const PGresult *result, int row, int column) {
    const auto *bytes = reinterpret_cast<const unsigned char *>(PQgetvalue(result, row, column));
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i)
        value = value << 8 | bytes[i];
    return static_cast<std::int64_t>(value);
}

std::string_view bytes_at(const PGresult *result, int row, int column) {
    return {PQgetvalue(result, row, column), static_cast<std::size_t>(PQgetlength(result, row, column))};
}

std::string payload(std::uint64_t number, std::size_t size) {
    std::string text = std::to_string(number) + ' ';
    std::minstd_rand random(1);
    while (text.size() < size)
        text += static_cast<char>('0' + random() / 1024 % 64);
    return text;
}

std::uint64_t number_of(std::string_view payload) {
    return std::strtoull(std::string(payload.substr(0, 20)).c_str(), nullptr, 10);
}

}  // namespace bench

int main(int argc, char **argv) {
    const std::map<std::string_view, int (*)(const bench::Arguments &)> modes = {
        {"calls", bench::calls},     {"catchup", bench::catchup}, {"followed", bench::followed}, {"get", bench::get},
        {"latency", bench::latency}, {"load", bench::load},       {"readers", bench::readers},
    };
    const auto mode = argc > 1 ? modes.find(argv[1]) : modes.end();
    if (mode == modes.end()) {
        std::fprintf(stderr, "driver: no such mode; see the files in test/bench\n");
        return 2;
    }
    try {
        return mode->second(bench::Arguments(argv + 2, argv + argc));
    } catch (const std::exception &error) {
        std::fprintf(stderr, "driver %s: %s\n", argv[1], error.what());
        return 1;
    }
}
