// See rill/client.hpp: the object itself. Following is the loop's work; the calls are in append_calls.cpp and
// stream_calls.cpp.
#include "rill/client.hpp"

#include "arguments.hpp"
#include "client_impl.hpp"

#include <utility>

namespace rill {

Client::Client(std::string_view conninfo, Options options)
    : impl_(std::make_shared<detail::ClientImpl>(conninfo, std::move(options))) {}

Client::Client(Client &&) noexcept = default;
Client &Client::operator=(Client &&other) noexcept {
    if (this != &other) {
        const Client old(std::move(*this));
        impl_ = std::move(other.impl_);
    }
    return *this;
}
Client::~Client() {
    if (impl_ != nullptr && impl_->foreign())
        detail::abandon(std::move(impl_));
    else
        close();
}

detail::ClientImpl &Client::impl() const {
    if (impl_ == nullptr)
        throw Error("this rill client was moved from", {.sqlstate = "55000", .kind = ErrorKind::usage});
    if (impl_->foreign())
        detail::throw_foreign();
    return *impl_;
}

std::shared_ptr<detail::ClientImpl> Client::share() const {
    (void) impl();
    return impl_;
}

Reader Client::read(std::string_view stream, Start start) { return Reader(impl().follow(stream, start)); }

Stats Client::stats() const { return impl().stats(); }

void Client::close() noexcept {
    if (impl_ != nullptr && !impl_->foreign())
        impl_->close();
}

}  // namespace rill
