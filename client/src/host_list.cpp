// See host_list.hpp.
#include "host_list.hpp"

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

Addresses look_up(const std::string &name, int flags, int &status) {
    addrinfo hint{};
    hint.ai_family = AF_UNSPEC;
    hint.ai_socktype = SOCK_STREAM;
    hint.ai_flags = flags;
    addrinfo *found = nullptr;
    status = ::getaddrinfo(name.c_str(), nullptr, &hint, &found);
    return {status == 0 ? found : nullptr, &::freeaddrinfo};
}

// Socket directories, addresses, and hosts whose address is given need no look-up.
bool needs_lookup(const Host &host) {
    if (!host.address.empty() || host.name.empty() || host.name[0] == '/' || host.name[0] == '@')
        return false;
    int status = 0;
    (void) look_up(host.name, AI_NUMERICHOST, status);
    return status != 0;
}

// Moves `tried` to the end, and the hosts that stood behind it to the front.
void rotate_behind(std::vector<Host> &hosts, const Host &tried) {
    const auto same = [&](const Host &host) {
        const bool same_host = host.address.empty() ? host.name == tried.name : host.address == tried.address;
        return same_host && (host.port.empty() || host.port == tried.port);
    };
    if (const auto found = std::ranges::find_if(hosts, same); found != hosts.end())
        std::rotate(hosts.begin(), found + 1, hosts.end());
}

}  // namespace

void HostList::begin() {
    hosts_.clear();
    if (lookup_ != nullptr || std::ranges::none_of(listed_, needs_lookup))
        return;
    std::shared_ptr<Lookup> lookup;
    try {
        lookup = std::make_shared<Lookup>();
        lookup->hosts = listed_;
        const BlockSignals blocked;
        std::thread([lookup] { lookup->run(); }).detach();
    } catch (const std::system_error &error) {
        throw Error(std::string("could not start a thread to resolve host names: ") + error.what(),
                    {.connection_lost = true});
    }
    lookup_ = std::move(lookup);
}

void HostList::Lookup::run() {
    try {
        std::vector<Host> found;
        for (const Host &host : hosts) {
            if (!needs_lookup(host)) {
                found.push_back(host);
                continue;
            }
            int status = 0;
            const Addresses addresses = look_up(host.name, 0, status);
            if (status != 0)
                failure = "could not translate host name \"" + host.name + "\" to address: " + ::gai_strerror(status);
            for (const addrinfo *at = addresses.get(); at != nullptr; at = at->ai_next) {
                std::array<char, NI_MAXHOST> text{};
                if (::getnameinfo(at->ai_addr, at->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) ==
                    0)
                    found.push_back({host.name, text.data(), host.port});
            }
        }
        hosts = std::move(found);
    } catch (const std::exception &error) {
        hosts.clear();
        failure = error.what();
    }
    done.store(true, std::memory_order_release);
    wake.signal();
}

void HostList::finish() {
    if (lookup_ == nullptr) {
        hosts_ = listed_;
    } else {
        const auto lookup = std::exchange(lookup_, nullptr);
        hosts_ = std::move(lookup->hosts);
        if (hosts_.empty())
            throw Error(lookup->failure.empty() ? "no host name has an address" : lookup->failure,
                        {.connection_lost = true});
    }
    rotate_behind(hosts_, skipped_);
    left_ = hosts_.size();
}

bool HostList::skip(const Host &tried) {
    skipped_ = tried;
    rotate_behind(hosts_, skipped_);
    if (left_ <= 1)
        return false;
    --left_;
    return true;
}

}  // namespace rill::detail
