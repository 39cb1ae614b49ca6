// See route.hpp.
#include "route.hpp"

#include "block_signals.hpp"
#include "rill/error.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include <netdb.h>
#include <sys/socket.h>

namespace rill::detail {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Addresses find(const std::string &host, int flags, int &status) {
    addrinfo hint{};
    hint.ai_family = AF_UNSPEC;
    hint.ai_socktype = SOCK_STREAM;
    hint.ai_flags = flags;
    addrinfo *found = nullptr;
    status = ::getaddrinfo(host.c_str(), nullptr, &hint, &found);
    return {status == 0 ? found : nullptr, &::freeaddrinfo};
}

// Socket directories, addresses and hosts with an address beside them need no look-up.
bool is_name(const Target &target) {
    if (!target.hostaddr.empty() || target.host.empty() || target.host[0] == '/' || target.host[0] == '@')
        return false;
    int status = 0;
    (void) find(target.host, AI_NUMERICHOST, status);
    return status != 0;
}

// Those behind the one that did not answer go first, and it goes last.
void rotate_behind(std::vector<Target> &targets, const Target &tried) {
    const auto same = [&](const Target &target) {
        const bool same_host = target.hostaddr.empty() ? target.host == tried.host : target.hostaddr == tried.hostaddr;
        return same_host && (target.port.empty() || target.port == tried.port);
    };
    if (const auto found = std::ranges::find_if(targets, same); found != targets.end())
        std::rotate(targets.begin(), found + 1, targets.end());
}

}  // namespace

void Route::begin() {
    targets_.clear();
    if (lookup_ != nullptr || std::ranges::none_of(listed_, is_name))
        return;
    auto lookup = std::make_shared<Lookup>();
    lookup->targets = listed_;
    const BlockSignals blocked;
    try {
        std::thread([lookup] { lookup->run(); }).detach();
    } catch (const std::system_error &error) {
        throw Error(std::string("could not start to look up host names: ") + error.what(), {.connection_lost = true});
    }
    lookup_ = std::move(lookup);
}

void Route::Lookup::run() {
    try {
        std::vector<Target> found;
        for (const Target &target : targets) {
            if (!is_name(target)) {
                found.push_back(target);
                continue;
            }
            int status = 0;
            const Addresses addresses = find(target.host, 0, status);
            if (status != 0)
                trouble = "could not translate host name \"" + target.host + "\" to address: " + ::gai_strerror(status);
            for (const addrinfo *at = addresses.get(); at != nullptr; at = at->ai_next) {
                std::array<char, NI_MAXHOST> text{};
                if (::getnameinfo(at->ai_addr, at->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) ==
                    0)
                    found.push_back({target.host, text.data(), target.port});
            }
        }
        targets = std::move(found);
    } catch (const std::exception &error) {
        targets.clear();
        trouble = error.what();
    }
    done.store(true, std::memory_order_release);
    wake.signal();
}

void Route::settle() {
    if (lookup_ == nullptr) {
        targets_ = listed_;
    } else {
        const auto lookup = std::exchange(lookup_, nullptr);
        targets_ = std::move(lookup->targets);
        if (targets_.empty())
            throw Error(lookup->trouble.empty() ? "no host name has an address" : lookup->trouble,
                        {.connection_lost = true});
    }
    rotate_behind(targets_, behind_);
    left_ = targets_.size();
}

bool Route::pass_over(const Target &tried) {
    behind_ = tried;
    rotate_behind(targets_, behind_);
    if (left_ <= 1)
        return false;
    --left_;
    return true;
}

}  // namespace rill::detail
