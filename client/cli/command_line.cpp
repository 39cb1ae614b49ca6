// See command_line.hpp.
#include "command_line.hpp"

#include "completion.hpp"
#include "help.hpp"
#include "manual.hpp"
#include "nearest.hpp"
#include "output.hpp"
#include "top_sort.hpp"
#include "utf8.hpp"

#include <algorithm>
#include <utility>

namespace rill::cli {
namespace {

constexpr const char *kConnection = "Connection options";

// CLI11 takes a positional argument in brackets for a list: "[a,b]" would be two names. A mark in front prevents that.
constexpr char kMark = '\1';

std::vector<std::string> marked(int argc, char **argv) {
    std::vector<std::string> arguments;  // the last one first, as CLI11 expects them
    for (int i = argc - 1; i > 0; --i) {
        std::string argument = argv[i];
        if (argument.starts_with('[') || argument.starts_with(kMark))
            argument.insert(argument.begin(), kMark);
        arguments.push_back(std::move(argument));
    }
    return arguments;
}

void unmark(std::string &argument) {
    if (argument.starts_with(kMark))
        argument.erase(0, 1);
}

int print(const std::string &text) {
    Output out;
    out.write(text);
    out.flush();
    return 0;
}

void add_json(CLI::App *command, bool &json, const char *what) { command->add_flag("--json", json, what); }

}  // namespace

CommandLine::CommandLine()
    : app_("Append to streams kept by the PostgreSQL extension pg_rill, and follow them.", "rill") {
    app_.set_help_flag("-?,--help", "show this help, or a command's");
    app_.add_flag("-V,--version", version_, "print the version");
    app_.require_subcommand(0, 1);
    app_.add_option("-h,--host", connection_.host, "database server host or socket directory")
        ->type_name("HOST")
        ->group(kConnection);
    app_.add_option("-p,--port", connection_.port, "database server port")->type_name("PORT")->group(kConnection);
    app_.add_option("-U,--username", connection_.user, "database user name")->type_name("NAME")->group(kConnection);
    app_.add_option("-d,--dbname", connection_.database, "database name, connection string or URI")
        ->type_name("NAME")
        ->group(kConnection);
    app_.add_flag("-w,--no-password", no_password_, "never prompt for a password (it never does)")->group(kConnection);
    words_ = {&connection_.host, &connection_.port, &connection_.user, &connection_.database};
    app_.footer(
        R"(Connection options may stand before or behind the command's name. Those that are left out come from PGHOST, PGPORT, PGUSER, PGDATABASE, PGSERVICE, the password file and so on, as for psql.

Examples:
  make 2>&1 | rill append build-42 --close     each line is a chunk, sent as it comes
  rill tail -f build-42                        the last 10 chunks, then new ones until it ends
  rill tail --from id:100 --json build-42      chunks after 100, for a program
  rill ls build-                               the streams whose names begin so
  rill top                                     which streams are busy)");
    add_writing();
    add_reading();
    add_keeping();
    add_looking();
    add_serving();
    add_help();
}

CLI::App *CommandLine::command(const std::string &name, const std::string &summary, std::function<int()> action) {
    CLI::App *const sub = app_.add_subcommand(name, summary);
    sub->fallthrough();  // connection options behind the command's name
    actions_[sub] = std::move(action);
    return sub;
}

void CommandLine::add_writing() {
    CLI::App *const sub = command("append", "append files or standard input to a stream",
                                  [this] { return append(connection_, append_); });
    sub->add_option("STREAM", append_.stream, "name of the stream; it is created if it does not exist")->required();
    sub->add_option("FILE", append_.files, "files; standard input if there are none, or -")->type_name("FILE");
    sub->add_option("--size", append_.size, "cut into chunks of this many bytes instead of lines")
        ->check([](const std::string &text) {
            const auto size = parse_before(text);
            return size && size->kind == From::Kind::id && size->number >= 1 && size->number <= (1 << 28)
                       ? ""
                       : "must be from 1 to 268435456";
        })
        ->type_name("BYTES");
    sub->add_flag("--close", append_.close, "close the stream at the end of the input");
    words_.push_back(&append_.stream);
    lists_.push_back(&append_.files);
    stream_names_.push_back(&append_.stream);
    sub->footer(
        R"(Each line of the input is a chunk, with its newline, so that the chunks joined are the input. Complete chunks are sent as they come: from a slow pipe one by one, from a fast one in batches, each of which is stored whole or not at all. The end of the input does not close the stream; --close does.

When it fails in the middle, the message says how many chunks are stored.

Examples:
  journalctl -f | rill append log
  rill append --size 65536 --close video movie.webm)");

    CLI::App *const closing = command("close", "end a stream; nothing can be appended to it afterwards",
                                      [this] { return close(connection_, close_stream_); });
    closing->add_option("STREAM", close_stream_, "name of the stream; it is created if it does not exist")->required();
    words_.push_back(&close_stream_);
    stream_names_.push_back(&close_stream_);
    closing->footer(
        "Closing a stream that is closed is no error. Whoever follows the stream learns that it has ended.");
}

void CommandLine::add_reading() {
    CLI::App *const sub = command("tail", "print the chunks of streams", [this] {
        tail_.from = *parse_from(from_);
        return tail(connection_, tail_);
    });
    sub->add_option("STREAM", tail_.streams, "names of streams")->required();
    sub->add_flag("-f,--follow", tail_.follow, "continue until every stream has ended");
    sub->add_option("--from", from_, "where to begin; id:N is after chunk N (default: last:10)")
        ->check([](const std::string &text) {
            return parse_from(text) ? "" : "must be start, now, last:N, skip:N, id:N or a time";
        })
        ->type_name("start|now|last:N|skip:N|id:N|TIME");
    sub->add_flag("-q,--quiet", tail_.quiet, "print no headers for several streams");
    add_json(sub, tail_.json, "print one JSON object a line");
    words_.push_back(&from_);
    lists_.push_back(&tail_.streams);
    stream_lists_.push_back(&tail_.streams);
    sub->footer(
        R"(Prints the bytes of the chunks, and nothing between them. Without -f it ends at the present tail; a stream that does not exist is an error. With -f it waits for such a stream, survives lost connections, which it reports on standard error, and ends when every stream has ended. Chunks of several streams stand under headers "==> name <==".

--from skip:N leaves out the first N chunks, also those that are still to come. id:N is a cursor: a number that the stream cannot have given yet, or whose successors were trimmed, is an error. A time is anything that PostgreSQL takes for a timestamp: "2026-11-25 10:00", yesterday.

With --json each line has stream, id, appended_at, epoch, eof, and data, or data_base64 where the data is not UTF-8. Continue later with --from id:N.

Examples:
  rill tail -f --from start build-42 >build.log
  rill tail --json --from id:100 build-42 | jq -r .id)");
}

void CommandLine::add_keeping() {
    CLI::App *const creating =
        command("create", "create a stream, with limits and metadata", [this] { return create(connection_, create_); });
    creating->add_option("STREAM", create_.stream, "name of the stream")->required();
    const std::string limits = "Limits";
    creating->add_option("--max-age", create_.max_age, "remove chunks that are older")
        ->type_name("INTERVAL")
        ->group(limits);
    creating->add_option("--max-chunks", create_.max_chunks, "keep this many chunks")->type_name("N")->group(limits);
    creating->add_option("--max-bytes", create_.max_bytes, "keep this many bytes of data")
        ->type_name("BYTES")
        ->group(limits);
    creating->add_option("--delete-after-close", create_.delete_after_close, "delete the stream so long after its end")
        ->type_name("INTERVAL")
        ->group(limits);
    creating->add_option("--max-idle", create_.max_idle, "delete the stream when it was not used for so long")
        ->type_name("INTERVAL")
        ->group(limits);
    creating->add_option("--expires-at", create_.expires_at, "delete the stream then")
        ->type_name("TIME")
        ->group(limits);
    creating->add_option("--metadata", create_.metadata, "a JSON value to keep with the stream")->type_name("JSON");
    creating->add_flag("--if-not-exists", create_.if_not_exists, "a stream of this name is no error");
    words_.push_back(&create_.stream);
    stream_names_.push_back(&create_.stream);
    for (auto *const value : {&create_.max_age, &create_.max_chunks, &create_.max_bytes, &create_.delete_after_close,
                              &create_.max_idle, &create_.expires_at, &create_.metadata})
        optionals_.push_back(value);
    creating->footer(
        R"(Streams need not be created: appending does it. A stream of this name is left as it is, limits too. INTERVAL and TIME are PostgreSQL's: "7 days", 90min, "2027-01-01 00:00 UTC". Limits are enforced in the background, about once a minute.

Examples:
  rill create build-42 --max-age '7 days' --delete-after-close '30 days'
  rill create room-7 --max-chunks 10000 --metadata '{"tenant": "acme"}')");

    CLI::App *const trimming = command("trim", "remove chunks from the beginning of a stream", [this] {
        trim_.before = *parse_before(before_);
        return trim(connection_, trim_);
    });
    trimming->add_option("STREAM", trim_.stream, "name of the stream")->required();
    trimming->add_option("--before", before_, "remove what lies before this chunk, the last N chunks, or this time")
        ->check(
            [](const std::string &text) { return parse_before(text) ? "" : "must be a chunk's id, last:N or a time"; })
        ->type_name("ID|last:N|TIME")
        ->required();
    add_json(trimming, trim_.json, "print a JSON object");
    words_.push_back(&trim_.stream);
    words_.push_back(&before_);
    stream_names_.push_back(&trim_.stream);
    trimming->footer(
        R"(Prints how many chunks were removed. The end of a closed stream is never removed. A reader whose cursor lies before the first chunk that is left gets an error.

Examples:
  rill trim --before last:1000 log
  rill trim --before yesterday log)");

    CLI::App *const deleting = command("delete", "delete streams", [this] { return remove(connection_, delete_); });
    deleting->add_option("STREAM", delete_.streams, "names of streams")->required();
    deleting->add_flag("--if-exists", delete_.if_exists, "a stream that does not exist is no error");
    lists_.push_back(&delete_.streams);
    stream_lists_.push_back(&delete_.streams);
    deleting->footer(
        "Their chunks are gone for good. A stream created again under the name continues with higher ids.");
}

void CommandLine::add_looking() {
    CLI::App *const listing = command("ls", "list the streams", [this] { return list(connection_, list_); });
    listing->add_option("PREFIX", list_.prefix, "only streams whose names begin so");
    listing->add_flag("-1,--names", list_.names, "print the names alone, one a line");
    listing->add_flag("--count", list_.count, "count chunks and bytes, which reads them all");
    add_json(listing, list_.json, "print one JSON object a line");
    words_.push_back(&list_.prefix);
    stream_names_.push_back(&list_.prefix);
    listing->footer(
        "Lists the streams that the role may see, by name. Control characters of names are shown as \\xNN or "
        "\\uNNNN; --json has the names as they are, and name_base64 for one that is not UTF-8.");

    CLI::App *const describing = command("info", "describe a stream", [this] { return info(connection_, info_); });
    describing->add_option("STREAM", info_.stream, "name of the stream")->required();
    describing->add_flag("--count", info_.count, "count chunks and bytes, which reads them all");
    add_json(describing, info_.json, "print a JSON object");
    words_.push_back(&info_.stream);
    stream_names_.push_back(&info_.stream);

    CLI::App *const watching =
        command("top", "show which streams are busy, live", [this] { return top(connection_, top_); });
    watching->add_option("PREFIX", top_.prefix, "only streams whose names begin so");
    watching->add_option("--sort", top_.sort, "what comes first (default: rate)")
        ->check(
            [](const std::string &text) { return parse_sort(text) ? "" : "must be rate, name, head, readers or last"; })
        ->type_name("rate|name|head|readers|last");
    watching->add_option("--interval", top_.interval, "seconds between two looks (default: 1)")
        ->check([](const std::string &text) {
            try {
                const double seconds = std::stod(text);
                return seconds >= 0.1 && seconds <= 3600 ? "" : "must be from 0.1 to 3600";
            } catch (const std::exception &) {
                return "must be a number of seconds";
            }
        })
        ->type_name("SECONDS");
    watching->add_flag("--once", top_.once, "print one table and exit");
    add_json(watching, top_.json, "print one JSON object and exit");
    words_.push_back(&top_.prefix);
    stream_names_.push_back(&top_.prefix);
    watching->footer(
        R"(Shows the streams that were appended to since it began, and the first ones by name. It learns of appends by LISTEN, so its cost depends on the streams that are busy, not on those that exist. Where LISTEN does not work (a standby, a pooler) it shows the first streams by name. READERS counts sessions that wait for the stream in the server; clients that follow by LISTEN, this one included, are counted together as listening. The state of the workers is shown to members of pg_monitor.

Keys: r n h w l sort by rate, name, head, readers, last append; / filters by the beginning of the name; arrows, Page Up, Page Down, Home and End move; space stops and continues; ? shows the keys; q quits.

When standard output is no terminal, or one without cursor movement, it prints one table. NO_COLOR in the environment turns colours off.

Examples:
  rill top build-
  rill top --once --sort head)");
}

void CommandLine::add_serving() {
    CLI::App *const serving = command("serve", "serve the streams over HTTP, by the Durable Streams protocol",
                                      [this] { return serve(connection_, serve_); });
    serving->add_option("--listen", serve_.listen, "address to listen on (default: 127.0.0.1)")->type_name("ADDRESS");
    serving->add_option("--http-port", serve_.port, "port to listen on; 0 is any (default: 4437)")->type_name("PORT");
    serving->add_option("--tokens", serve_.tokens, "file with a token and a database role on each line")
        ->type_name("FILE");
    serving->add_option("--cors", serve_.origins, "origins whose pages may use this server; * is any")
        ->type_name("ORIGIN");
    serving->add_option("--max-body", serve_.max_body, "bytes that a request may carry (default: 16777216)")
        ->check(CLI::Range(std::size_t{1}, std::size_t{256} * 1024 * 1024))
        ->type_name("BYTES");
    serving->add_option("--long-poll", serve_.long_poll, "seconds that a long-poll waits (default: 30)")
        ->check(CLI::Range(0.1, 3600.0))
        ->type_name("SECONDS");
    serving->add_flag("--access-log", serve_.access_log, "write a line for each request to standard error");
    serving->add_flag("--insecure", serve_.insecure, "let everybody who can reach the address use the streams");
    words_.push_back(&serve_.listen);
    words_.push_back(&serve_.tokens);
    lists_.push_back(&serve_.origins);
    serving->footer(
        R"(Streams are at http://ADDRESS:PORT/v1/stream/NAME: PUT creates, POST appends, GET reads (catch-up, long-poll, Server-Sent Events), HEAD describes, DELETE deletes, as the protocol says; forks and subscriptions are refused. / is a page that follows a stream in a browser, /streams lists names, /health tells whether the database answers, /metrics has counts for Prometheus.

With --tokens a request needs the header "Authorization: Bearer TOKEN", and acts with the rights of the token's role, which rill's own role must be a member of. Without tokens everybody who reaches the address acts with the rights of the role that rill connects as, so it listens on this machine alone unless --insecure is given. A lost connection to the database reaches clients as a retry. Pages of other origins are refused unless --cors names them; without tokens, so are requests to a name that it does not name, other than localhost.

A line of the access log has the time at which the request began (UTC), the client's address, the database role, the method, the target, the status, the bytes sent, and the milliseconds until the answer ended. No header is in it, so no token is. Lines that standard error does not take in time are dropped and counted.

Examples:
  rill serve -d app
  curl -N 'http://localhost:4437/v1/stream/build-42?offset=-1&live=sse')");
}

void CommandLine::add_help() {
    CLI::App *const helping = command("help", "show the help of rill or of a command", [this] {
        if (topic_.empty())
            return print(help_text(app_));
        const CLI::App *const found = find_command(app_, topic_);
        if (found == nullptr)
            throw UsageError(unknown("command", topic_, command_names(app_)));
        return print(help_text(*found));
    });
    helping->add_option("COMMAND", topic_, "name of the command")->type_name("COMMAND");
    words_.push_back(&topic_);

    // For the build: what the packages install.
    CLI::App *const generating = command("generate", "", [this] {
        if (generate_.size() == 2 && generate_[0] == "man" && generate_[1] == "rill")
            return print(manual_page(app_, RILL_VERSION));
        if (generate_.size() == 2 && generate_[0] == "man")
            if (const CLI::App *const found = find_command(app_, generate_[1]))
                return print(manual_page(*found, RILL_VERSION));
        if (generate_ == std::vector<std::string>{"commands"}) {
            std::string names;
            for (const auto &name : command_names(app_))
                names += name + "\n";
            return print(names);
        }
        if (generate_ == std::vector<std::string>{"bash"})
            return print(bash_completion(app_));
        if (generate_ == std::vector<std::string>{"zsh"})
            return print(zsh_completion(app_));
        throw UsageError("generate needs: commands, bash, zsh, man rill, or man COMMAND");
    });
    generating->add_option("WHAT", generate_);
    generating->group("");  // hidden
}

int CommandLine::run(int argc, char **argv) {
    if (argc < 2) {
        print_raw_error(help_text(app_));
        return 2;
    }
    try {
        app_.parse(marked(argc, argv));
    } catch (const CLI::CallForHelp &) {
        const auto chosen = app_.get_subcommands();
        return print(help_text(chosen.empty() ? app_ : *chosen.front()));
    } catch (const CLI::ExtrasError &) {
        throw_unexpected();
    } catch (const CLI::ParseError &error) {
        const auto chosen = app_.get_subcommands();
        const std::string name = chosen.empty() ? "" : " " + chosen.front()->get_name();
        throw UsageError(std::string(error.what()) + " (see rill" + name + " --help)");
    }
    unmark_all();
    if (version_)
        return print("rill (pg_rill) " RILL_VERSION "\n");
    const auto chosen = app_.get_subcommands();
    if (chosen.empty())
        throw UsageError("no command given (see rill --help)");
    return actions_.at(chosen.front())();
}

// Names the argument that nothing takes: a command or an option, and the one that was probably meant.
void CommandLine::throw_unexpected() {
    const auto chosen = app_.get_subcommands();
    std::vector<std::string> extras = app_.remaining(true);
    std::ranges::for_each(extras, unmark);
    const std::string see =
        chosen.empty() ? " (see rill --help)" : " (see rill " + chosen.front()->get_name() + " --help)";
    const auto is_option = [](const std::string &extra) { return extra.starts_with('-') && extra.size() > 1; };
    // What follows an unknown command is unknown, too.
    if (chosen.empty() && !extras.empty() && !is_option(extras.front()))
        throw UsageError(unknown("command", extras.front(), command_names(app_)) + see);
    const auto option = std::ranges::find_if(extras, is_option);
    if (option == extras.end())
        throw UsageError("unexpected argument \"" + (extras.empty() ? std::string() : extras.front()) + "\"" + see);
    std::vector<std::string> known = option_names(app_);
    if (!chosen.empty())
        for (auto &name : option_names(*chosen.front()))
            known.push_back(std::move(name));
    throw UsageError(unknown("option", option->substr(0, option->find('=')), known) + see);
}

void CommandLine::unmark_all() {
    for (std::string *const word : words_)
        unmark(*word);
    for (auto *const list : lists_)
        std::ranges::for_each(*list, unmark);
    for (auto *const optional : optionals_)
        if (*optional)
            unmark(**optional);
    connection_.raw_names =
        std::ranges::any_of(stream_names_, [](const std::string *name) { return !is_utf8(*name); }) ||
        std::ranges::any_of(stream_lists_, [](const auto *list) { return !std::ranges::all_of(*list, is_utf8); });
}

}  // namespace rill::cli
