// See name_service.hpp. The test program's getaddrinfo takes the place of the C library's, for libpq as well.
#include "name_service.hpp"

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <string_view>

#include <dlfcn.h>
#include <netdb.h>

namespace rill::test {
namespace {

// Never destroyed: a look-up that was left running may still use it.
struct Service {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::string> addresses;
    bool hangs = false;
    int hanging = 0;
};

Service &service() {
    static auto *const the_service = new Service;
    return *the_service;
}

using LookUp = int (*)(const char *, const char *, const addrinfo *, addrinfo **);

int look_up(const char *host, const char *port, const addrinfo *hint, addrinfo **found) {
    static const auto real = reinterpret_cast<LookUp>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    return real(host, port, hint, found);
}

}  // namespace

NameService::NameService(std::vector<std::string> addresses) {
    const std::scoped_lock lock(service().mutex);
    service().addresses = std::move(addresses);
}

NameService::~NameService() { hang(false); }

void NameService::hang(bool on) {
    {
        const std::scoped_lock lock(service().mutex);
        service().hangs = on;
    }
    service().changed.notify_all();
}

int NameService::hanging() {
    const std::scoped_lock lock(service().mutex);
    return service().hanging;
}

}  // namespace rill::test

extern "C" __attribute__((visibility("default"))) int getaddrinfo(const char *host, const char *port,
                                                                  const addrinfo *hint, addrinfo **found) {
    using namespace rill::test;
    const bool ours = host != nullptr && std::string_view(host).ends_with(".rill-test") &&
                      (hint == nullptr || (hint->ai_flags & AI_NUMERICHOST) == 0);
    if (!ours)
        return look_up(host, port, hint, found);
    std::vector<std::string> addresses;
    {
        Service &it = service();
        std::unique_lock lock(it.mutex);
        ++it.hanging;
        it.changed.wait(lock, [&] { return !it.hangs; });
        --it.hanging;
        addresses = it.addresses;
    }
    addrinfo **end = found;
    *end = nullptr;
    for (const auto &address : addresses) {
        if (const int status = look_up(address.c_str(), port, hint, end); status != 0)
            return status;
        while (*end != nullptr)
            end = &(*end)->ai_next;
    }
    return *found == nullptr ? EAI_NONAME : 0;
}
