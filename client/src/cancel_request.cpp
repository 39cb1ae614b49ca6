// See cancel_request.hpp.
#include "cancel_request.hpp"

#include "block_signals.hpp"

#include <array>
#include <exception>
#include <thread>
#include <utility>

namespace rill::detail {
namespace {

constexpr int kMostAtOnce = 16;

}  // namespace

std::shared_ptr<const std::atomic<bool>> CancelRequests::send(CancelHandle handle) noexcept {
    if (handle == nullptr)
        return nullptr;
    if (running_->fetch_add(1) >= kMostAtOnce) {
        running_->fetch_sub(1);
        return nullptr;
    }
    try {
        auto done = std::make_shared<std::atomic<bool>>(false);
        const BlockSignals blocked;
        std::thread([handle = std::move(handle), done, running = running_] {
            std::array<char, 256> error{};
            (void) PQcancel(handle.get(), error.data(), static_cast<int>(error.size()));
            running->fetch_sub(1);
            done->store(true);
        }).detach();
        return done;
    } catch (const std::exception &) {
        running_->fetch_sub(1);
        return nullptr;
    }
}

}  // namespace rill::detail
