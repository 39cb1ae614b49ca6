// rill top: which streams are busy, on a screen that is kept up to date, or as one table.
//
// One thread asks the server, this one draws and reads keys, so that a server that does not answer never holds up a
// key. Situations it must survive: a lost connection (shown, and made again), a terminal that changes its size or goes
// away, Ctrl-Z and fg, signals (the terminal is restored), an output that is no terminal.
#include "commands.hpp"

#include "output.hpp"
#include "rill/error.hpp"
#include "screen.hpp"
#include "top_sampler.hpp"
#include "top_view.hpp"
#include "wake_fd.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <poll.h>
#include <unistd.h>

namespace rill::cli {
namespace {

using Clock = std::chrono::steady_clock;

Clock::duration seconds(double count) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(count));
}

// Asks in a thread of its own, once an interval and whenever the filter changes.
// The thread owns it, too, since it may be busy with a server that does not answer when the screen ends.
class Asking : public std::enable_shared_from_this<Asking> {
public:
    Asking(const ConnectionOptions &connection, std::unique_ptr<TopSampler> sampler, std::string prefix,
           double interval)
        : connection_(connection), interval_(interval), sampler_(std::move(sampler)), prefix_(std::move(prefix)) {}

    void start() {
        // ncurses handles signals in the thread that draws.
        sigset_t all;
        sigset_t before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        std::thread([self = shared_from_this()] { self->run(); }).detach();
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

    // Readable when there is something new.
    [[nodiscard]] int fd() const noexcept { return news_.get(); }

    [[nodiscard]] TopSnapshot latest() {
        news_.clear();
        const std::scoped_lock lock(mutex_);
        return latest_;
    }

    void set_prefix(std::string prefix) {
        {
            const std::scoped_lock lock(mutex_);
            prefix_ = std::move(prefix);
        }
        wake_.signal();
    }

    // False if the thread is still busy with a server that does not answer; then only the process's end ends it.
    [[nodiscard]] bool stop() {
        stopping_ = true;
        wake_.signal();
        std::unique_lock lock(mutex_);
        return ended_changed_.wait_for(lock, std::chrono::milliseconds(500), [this] { return ended_; });
    }

private:
    void run() {
        while (!stopping_) {
            std::string lost = "the connection was lost";
            bool connected = false;
            try {
                if (sampler_ == nullptr)
                    sampler_ = std::make_unique<TopSampler>(connection_);
                publish(sampler_->look(prefix()));
                connected = sampler_->collect(Clock::now() + seconds(interval_), wake_.get());
            } catch (const std::exception &error) {
                lost = error.what();
            }
            if (!connected && !stopping_) {
                sampler_ = nullptr;
                report(lost + ", retrying");
                pause();
            }
            wake_.clear();
        }
        sampler_ = nullptr;
        const std::scoped_lock lock(mutex_);
        ended_ = true;
        ended_changed_.notify_all();
    }

    void report(std::string error) {
        const std::scoped_lock lock(mutex_);
        latest_.error = std::move(error);
        news_.signal();
    }

    void pause() const {
        pollfd fd{wake_.get(), POLLIN, 0};
        (void) ::poll(&fd, 1, 1'000);
    }

    [[nodiscard]] std::string prefix() {
        const std::scoped_lock lock(mutex_);
        return prefix_;
    }

    void publish(TopSnapshot snapshot) {
        const std::scoped_lock lock(mutex_);
        latest_ = std::move(snapshot);
        news_.signal();
    }

    const ConnectionOptions connection_;
    const double interval_;
    detail::WakeFd news_;
    detail::WakeFd wake_;
    std::atomic<bool> stopping_{false};
    std::unique_ptr<TopSampler> sampler_;  // the thread's

    std::mutex mutex_;
    TopSnapshot latest_;  // protected by mutex_
    std::string prefix_;  // protected by mutex_
    bool ended_ = false;  // protected by mutex_
    std::condition_variable ended_changed_;
};

// The signals that end the program, as a number and a descriptor for poll(2).
std::atomic<int> ended_by{0};
int signal_fd = -1;

void on_signal(int signal) {
    ended_by = signal;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(signal_fd, &one, sizeof(one));
}

class TopScreen {
public:
    TopScreen(Asking &asking, Screen &screen, TopSnapshot first, Sort sort)
        : asking_(asking), screen_(screen), snapshot_(std::move(first)), prefix_(snapshot_.prefix) {
        view_.sort = sort;
    }

    // Until a key or the end of the terminal ends it.
    void run() {
        detail::WakeFd signalled;
        signal_fd = signalled.get();
        for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
            struct sigaction action {};
            action.sa_handler = on_signal;
            ::sigaction(signal, &action, nullptr);
        }
        while (ended_by == 0 && !quit_) {
            draw();
            pollfd fds[3] = {{STDIN_FILENO, POLLIN, 0}, {asking_.fd(), POLLIN, 0}, {signal_fd, POLLIN, 0}};
            (void) ::poll(fds, 3, -1);  // EINTR: perhaps another size, which key() tells
            if ((fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
                return;
            for (auto pressed = screen_.key(); pressed.key != Screen::Key::none; pressed = screen_.key())
                take(pressed);
            if (fds[1].revents != 0) {
                TopSnapshot latest = asking_.latest();
                if (!view_.stopped)
                    snapshot_ = std::move(latest);
            }
        }
    }

private:
    void draw() { screen_.draw(top_screen(snapshot_, view_, screen_.width(), screen_.height(), screen_.charset())); }

    void take(const Screen::Pressed &pressed) {
        using Key = Screen::Key;
        if (view_.editing)
            return edit(pressed);
        const std::size_t page = page_size(screen_.height());
        switch (pressed.key) {
        case Key::up:
            view_.first -= std::min<std::size_t>(view_.first, 1);
            break;
        case Key::down:
            ++view_.first;
            break;
        case Key::page_up:
            view_.first -= std::min(view_.first, page);
            break;
        case Key::page_down:
            view_.first += page;
            break;
        case Key::home:
            view_.first = 0;
            break;
        case Key::end:
            view_.first = snapshot_.streams.size();
            break;
        case Key::escape:
            if (!std::exchange(view_.help, false) && !prefix_.empty())
                filter({});
            break;
        case Key::letter:
            command(pressed.letter);
            break;
        default:
            break;
        }
    }

    void command(const std::string &letter) {
        if (letter == "q")
            quit_ = true;
        else if (letter == "?")
            view_.help = !view_.help;
        else if (letter == " ")
            view_.stopped = !view_.stopped;
        else if (letter == "/")
            view_.editing = true, view_.edited = prefix_;
        for (const auto &known : kSorts)
            if (letter == std::string(1, known.key)) {
                view_.sort = known.sort;
                view_.first = 0;
            }
    }

    void edit(const Screen::Pressed &pressed) {
        using Key = Screen::Key;
        if (pressed.key == Key::letter) {
            view_.edited += pressed.letter;
        } else if (pressed.key == Key::backspace) {
            while (!view_.edited.empty() && (static_cast<unsigned char>(view_.edited.back()) & 0xc0U) == 0x80U)
                view_.edited.pop_back();
            if (!view_.edited.empty())
                view_.edited.pop_back();
        } else if (pressed.key == Key::enter) {
            view_.editing = false;
            filter(view_.edited);
        } else if (pressed.key == Key::escape) {
            view_.editing = false;
        }
    }

    void filter(std::string prefix) {
        prefix_ = std::move(prefix);
        view_.first = 0;
        view_.stopped = false;
        asking_.set_prefix(prefix_);
    }

    Asking &asking_;
    Screen &screen_;
    TopSnapshot snapshot_;
    TopView view_;
    std::string prefix_;
    bool quit_ = false;
};

// Busy streams are heard of during the first part, and measured during the second.
int print_once(TopSampler &sampler, const TopOptions &options, Sort sort) {
    (void) sampler.look(options.prefix);
    TopSnapshot snapshot;
    for (const double part : {std::min(options.interval, 1.0), options.interval}) {
        if (!sampler.collect(Clock::now() + seconds(part), -1))
            throw Error("the connection was lost");
        snapshot = sampler.look(options.prefix);
    }
    Output out;
    out.write(options.json ? top_json(std::move(snapshot), sort) : top_table(std::move(snapshot), sort));
    out.flush();
    return 0;
}

}  // namespace

int top(const ConnectionOptions &connection, const TopOptions &options) {
    const Sort sort = *parse_sort(options.sort);
    auto sampler = std::make_unique<TopSampler>(connection);
    if (options.once || options.json)
        return print_once(*sampler, options, sort);
    TopSnapshot first = sampler->look(options.prefix);
    bool ended = false;
    {
        Screen screen;
        if (screen.none())
            return print_once(*sampler, options, sort);
        const auto asking = std::make_shared<Asking>(connection, std::move(sampler), options.prefix, options.interval);
        asking->start();
        TopScreen(*asking, screen, std::move(first), sort).run();
        ended = asking->stop();
    }
    const int code = ended_by == 0 ? 0 : 128 + ended_by;
    if (!ended)
        std::_Exit(code);  // beside a thread that still runs nothing may be destroyed
    return code;
}

}  // namespace rill::cli
