// See mailbox.hpp.
#include "mailbox.hpp"

#include "subscription.hpp"

#include <utility>

namespace rill::detail {

bool Mailbox::post(const std::shared_ptr<Subscription> &subscription) noexcept {
    {
        const std::scoped_lock lock(mutex_);
        if (open_) {
            if (subscription->posted_)
                return true;
            subscription->posted_ = true;
            if (tail_ == nullptr)
                head_ = subscription;
            else
                tail_->next_posted_ = subscription;
            tail_ = subscription.get();
            wake_.signal();
            return true;
        }
    }
    subscription->finish(Subscription::Outcome::closed);
    return false;
}

std::shared_ptr<Subscription> Mailbox::take() noexcept {
    const std::scoped_lock lock(mutex_);
    if (head_ == nullptr)
        return nullptr;
    auto first = std::move(head_);
    head_ = std::move(first->next_posted_);
    if (head_ == nullptr)
        tail_ = nullptr;
    first->posted_ = false;
    return first;
}

void Mailbox::close() noexcept {
    const std::scoped_lock lock(mutex_);
    open_ = false;
}

}  // namespace rill::detail
