// The memory that the bodies of requests take together, from the bytes that have come until the request has ended:
// each is bounded by itself, but thousands of clients send one, and during an outage requests wait with theirs.
//
// Only what has come counts: a length that a header announces costs a client nothing to write.
//
// Thread-safety: one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace rill::serve {

// A body's part of the total.
class BodyClaim {
public:
    explicit BodyClaim(std::shared_ptr<std::size_t> total) : total_(std::move(total)) {}
    BodyClaim(const BodyClaim &) = delete;
    BodyClaim &operator=(const BodyClaim &) = delete;
    ~BodyClaim() { *total_ -= size_; }

    // The body has this size now. False: the total is above the limit then, and nothing has changed.
    [[nodiscard]] bool grow_to(std::size_t size, std::size_t limit) {
        if (size <= size_)
            return true;
        const std::size_t more = size - size_;
        if (more > limit || *total_ > limit - more)
            return false;
        *total_ += more;
        size_ = size;
        return true;
    }

private:
    std::shared_ptr<std::size_t> total_;
    std::size_t size_ = 0;
};

}  // namespace rill::serve
