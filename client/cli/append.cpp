// rill append: input as chunks, one for each line or every N bytes.
//
// Situations it must survive: a slow pipe (complete chunks are sent at once, not when a batch is full), a fast one or a
// large file (batches), input of any bytes, a file that ends in the middle of a line, an input that cannot be read.
#include "commands.hpp"

#include "progress.hpp"
#include "rill/client.hpp"
#include "splitter.hpp"

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rill::cli {
namespace {

constexpr std::size_t kBatchChunks = 2'000;
constexpr std::size_t kBatchBytes = std::size_t{1} << 20;
constexpr std::size_t kLongestChunk = std::size_t{256} << 20;

class Input {
public:
    explicit Input(const std::string &name)
        : fd_(name == "-" ? STDIN_FILENO : ::open(name.c_str(), O_RDONLY | O_CLOEXEC)), name_(name) {
        if (fd_ < 0)
            fail(name_, errno);
    }
    Input(const Input &) = delete;
    Input &operator=(const Input &) = delete;
    ~Input() {
        if (fd_ != STDIN_FILENO)
            ::close(fd_);
    }

    // 0 at the end of the input.
    std::size_t read(char *buffer, std::size_t size) const {
        for (;;) {
            const ssize_t got = ::read(fd_, buffer, size);
            if (got >= 0)
                return static_cast<std::size_t>(got);
            if (errno == EAGAIN)
                (void) ready(-1);
            else if (errno != EINTR)
                fail(name_, errno);
        }
    }

    // Of a regular file; 0 for anything else. Throws if it cannot be read. Does not open it: opening and closing a
    // named pipe would leave its writer without a reader.
    static std::uint64_t size(const std::string &name) {
        struct stat info {};
        const bool standard = name == "-";
        if ((standard ? ::fstat(STDIN_FILENO, &info) : ::stat(name.c_str(), &info)) != 0 ||
            (!standard && ::access(name.c_str(), R_OK) != 0))
            fail(name, errno);
        if (S_ISDIR(info.st_mode))
            fail(name, EISDIR);
        return S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
    }

    [[nodiscard]] bool ready(int timeout) const {
        pollfd fd{fd_, POLLIN, 0};
        return ::poll(&fd, 1, timeout) > 0;
    }

private:
    [[noreturn]] static void fail(const std::string &name, int error) {
        throw std::system_error(error, std::generic_category(), name == "-" ? "standard input" : name);
    }

    int fd_;
    std::string name_;
};

// Collects chunks and appends them a batch at a time.
class Sender {
public:
    Sender(Client &client, const std::string &stream) : client_(client), stream_(stream) {}

    void add(std::string_view chunk) {
        ends_.push_back(bytes_.append(chunk).size());
        if (ends_.size() >= kBatchChunks || bytes_.size() >= kBatchBytes)
            flush();
    }

    void flush() {
        if (ends_.empty())
            return;
        std::vector<std::string_view> chunks;
        chunks.reserve(ends_.size());
        std::size_t begin = 0;
        for (const std::size_t end : ends_) {
            chunks.push_back(std::string_view(bytes_).substr(begin, end - begin));
            begin = end;
        }
        try {
            (void) client_.append_many(stream_, chunks);
        } catch (const Error &error) {
            throw Error(std::string(error.what()) +
                            (error.outcome_unknown() ? "; the last batch may or may not be stored, " : "; ") +
                            std::to_string(stored_) + " chunks before it are stored",
                        {.sqlstate = error.sqlstate(), .hint = error.hint()});
        }
        stored_ += ends_.size();
        bytes_.clear();
        ends_.clear();
    }

private:
    Client &client_;
    const std::string &stream_;
    std::string bytes_;
    std::vector<std::size_t> ends_;
    std::uint64_t stored_ = 0;
};

}  // namespace

int append(const ConnectionOptions &connection, const AppendOptions &options) {
    // A file that does not exist is noticed before anything is stored.
    std::uint64_t total = 0;
    bool total_known = true;
    const std::vector<std::string> names = options.files.empty() ? std::vector<std::string>{"-"} : options.files;
    for (const auto &name : names) {
        const std::uint64_t size = Input::size(name);
        total += size;
        total_known = total_known && size > 0;
    }

    Client client = connect(connection);
    Sender sender(client, options.stream);
    const auto send = [&sender](std::string_view chunk) { sender.add(chunk); };
    Progress progress(total_known ? total : 0);
    std::uint64_t done = 0;
    std::vector<char> buffer(std::size_t{1} << 17);
    for (const auto &name : names) {
        const Input input(name);
        Splitter splitter(options.size);
        while (const std::size_t got = input.read(buffer.data(), buffer.size())) {
            splitter.feed({buffer.data(), got}, send);
            if (splitter.tail() > kLongestChunk)
                throw Error("a line is too long for a chunk: use --size to cut by bytes");
            done += got;
            progress.at(done);
            if (!input.ready(0))
                sender.flush();
        }
        splitter.finish(send);
    }
    sender.flush();
    if (options.close)
        client.close_stream(options.stream);
    return 0;
}

}  // namespace rill::cli
