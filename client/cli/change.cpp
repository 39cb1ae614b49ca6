// rill create, close, trim and delete: one call of the server each.
//
// Situations it must survive: Ctrl-C while the server removes many chunks (cancelled there, too, and nothing is
// removed); one of several streams that cannot be deleted (the others are).
#include "commands.hpp"

#include "interrupt.hpp"
#include "json_lines.hpp"
#include "messages.hpp"
#include "output.hpp"
#include "rill/error.hpp"
#include "sql_session.hpp"

#include <utility>

namespace rill::cli {

int create(const ConnectionOptions &connection, const CreateOptions &options) {
    catch_interrupts();
    InterruptibleSqlSession session(connection);
    const Rows made =
        session.run("SELECT {}stream_create($1, max_age => $2::pg_catalog.interval, max_chunks => $3::pg_catalog.int8,"
                    " max_bytes => $4::pg_catalog.int8, delete_after_close => $5::pg_catalog.interval,"
                    " max_idle => $6::pg_catalog.interval, expires_at => $7::pg_catalog.timestamptz,"
                    " metadata => $8::pg_catalog.jsonb) AS created",
                    {options.stream, options.max_age, options.max_chunks, options.max_bytes, options.delete_after_close,
                     options.max_idle, options.expires_at, options.metadata});
    if (made.truth(0, "created") || options.if_not_exists)
        return 0;
    print_error(quoted_stream(options.stream) + " exists already, and is left as it is");
    return 1;
}

int close(const ConnectionOptions &connection, const std::string &stream) {
    catch_interrupts();
    InterruptibleSqlSession session(connection);
    (void) session.run("SELECT {}stream_close($1)", {stream});
    return 0;
}

int trim(const ConnectionOptions &connection, const TrimOptions &options) {
    catch_interrupts();
    InterruptibleSqlSession session(connection);
    if (session.run("SELECT FROM {}stream WHERE name OPERATOR(pg_catalog.=) $1", {options.stream}).size() == 0)
        throw Error(no_such_stream(options.stream));
    // The cursor behind which everything is kept, as the first id that is kept.
    std::string before;
    std::string value = std::to_string(options.before.number);
    switch (options.before.kind) {
    case From::Kind::last:
        // Of an open stream seek(0) is the beginning, not "the last none".
        before = options.before.number == 0
                     ? "{}stream_head($1) OPERATOR(pg_catalog.+) 1 OPERATOR(pg_catalog.+) $2::pg_catalog.int8"
                     : "(SELECT chunk_id OPERATOR(pg_catalog.+) 1"
                       " FROM {}stream_seek($1, OPERATOR(pg_catalog.-) $2::pg_catalog.int8))";
        break;
    case From::Kind::time:
        before = "{}stream_seek_time($1, $2::pg_catalog.timestamptz) OPERATOR(pg_catalog.+) 1";
        value = options.before.time;
        break;
    default:
        before = "$2::pg_catalog.int8";
    }
    const Rows removed = session.run("SELECT {}stream_trim($1, " + before + ") AS removed", {options.stream, value});
    const std::int64_t count = removed.number(0, "removed").value_or(0);
    Output out;
    out.write(options.json ? json_trimmed(options.stream, count)
                           : std::to_string(count) + (count == 1 ? " chunk removed\n" : " chunks removed\n"));
    out.flush();
    return 0;
}

int remove(const ConnectionOptions &connection, const DeleteOptions &options) {
    catch_interrupts();
    InterruptibleSqlSession session(connection);
    int code = 0;
    for (const auto &stream : options.streams) {
        try {
            const bool deleted = session.run("SELECT {}stream_delete($1) AS deleted", {stream}).truth(0, "deleted");
            if (deleted || options.if_exists)
                continue;
            print_error(no_such_stream(stream));
        } catch (const Error &error) {
            if (error.connection_lost() || error.sqlstate() == "57014")
                throw;
            print_error(about_stream(stream, error));
        }
        code = 1;
    }
    return code;
}

}  // namespace rill::cli
