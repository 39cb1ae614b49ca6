// rill ls and rill info: what the server knows of streams, as a table for people and as JSON for programs.
//
// Situations it must survive: many streams (their chunks are counted only when asked for), names that are not UTF-8
// beside names that are, names with newlines on a terminal and in a pipe.
#include "commands.hpp"

#include "interrupt.hpp"
#include "json_lines.hpp"
#include "messages.hpp"
#include "output.hpp"
#include "sql_session.hpp"
#include "stream_query.hpp"
#include "table.hpp"

#include <unistd.h>

namespace rill::cli {
namespace {

// A dash for a null.
std::string shown(const Rows &rows, int row, const StreamColumn &column) {
    if (column.kind == Kind::truth)
        return rows.truth(row, column.name) ? "yes" : "no";
    return printable(rows.text(row, column.name).value_or("-"));
}

void print_names(const ListOptions &options, InterruptibleSqlSession &session, Output &out) {
    const Rows rows =
        session.run("SELECT name FROM {}stream WHERE name OPERATOR(pg_catalog.^@) $1 ORDER BY name", {options.prefix});
    const bool terminal = ::isatty(STDOUT_FILENO) != 0;
    for (int row = 0; row < rows.size(); ++row) {
        const std::string name = rows.text(row, "name").value_or("");
        out.write((terminal ? printable(name) : name) + "\n");
    }
}

}  // namespace

int list(const ConnectionOptions &connection, const ListOptions &options) {
    catch_interrupts();
    InterruptibleSqlSession session(connection);
    Output out;
    if (options.names && !options.json) {
        print_names(options, session, out);
        out.flush();
        return 0;
    }
    const Rows rows = session.run(stream_query(options.count, "i.name OPERATOR(pg_catalog.^@) $1"), {options.prefix});
    if (options.json) {
        for (int row = 0; row < rows.size(); ++row)
            out.write(json_stream(rows, row, options.count));
        out.flush();
        return 0;
    }
    std::vector<Table::Column> columns{{"NAME"}, {"HEAD", true}, {"CLOSED"}, {"LAST"}};
    if (options.count)
        columns.insert(columns.begin() + 1, {{"CHUNKS", true}, {"BYTES", true}});
    Table table(columns);
    for (int row = 0; row < rows.size(); ++row) {
        const auto value = [&](const char *name) { return printable(rows.text(row, name).value_or("-")); };
        std::vector<std::string> values{value("name"), value("head_id"), rows.truth(row, "closed") ? "yes" : "no",
                                        value("last_at")};
        if (options.count)
            values.insert(values.begin() + 1, {value("chunks"), value("bytes")});
        table.add(std::move(values));
    }
    table.print([&out](const std::string &line) { out.write(line); });
    out.flush();
    return 0;
}

int info(const ConnectionOptions &connection, const InfoOptions &options) {
    catch_interrupts();
    InterruptibleSqlSession session(connection);
    const Rows rows = session.run(stream_query(options.count, "i.name OPERATOR(pg_catalog.=) $1"), {options.stream});
    if (rows.size() == 0)
        throw Error(no_such_stream(options.stream));
    Output out;
    if (options.json) {
        out.write(json_stream(rows, 0, options.count));
        out.flush();
        return 0;
    }
    const auto print = [&](const StreamColumn &column) {
        const std::string name = column.name;
        out.write(name + std::string(20 - name.size(), ' ') + shown(rows, 0, column) + "\n");
    };
    for (const auto &column : kStreamColumns)
        print(column);
    if (options.count)
        for (const auto &column : kSizeColumns)
            print(column);
    out.flush();
    return 0;
}

}  // namespace rill::cli
