// Parameters of one unnamed statement, in PostgreSQL's binary format: exact for every byte, without quoting or
// escaping, and half the size of text for large arrays. Values are typed by OID, so the statement needs no casts.
//
// Views are not copied: what they point to must live until the statement has been sent. A statement has a handful of
// parameters; an array may have hundreds of thousands of elements. What does not fit into a message is Error 54000,
// before it is copied: the server would end the session for it. Pure.
#pragma once

#include "rill/error.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rill::detail {

// The OIDs of built-in types never change.
enum TypeOid : unsigned {
    kBoolOid = 16,
    kByteaOid = 17,
    kInt8Oid = 20,
    kInt4Oid = 23,
    kTextOid = 25,
    kByteaArrayOid = 1001,
    kInt4ArrayOid = 1007,
    kTextArrayOid = 1009,
    kInt8ArrayOid = 1016,
    kTimestamptzOid = 1184,
    kIntervalOid = 1186,
    kJsonbOid = 3802,
};

template <typename Integer>
void put_big_endian(std::string &out, Integer value) {
    for (std::size_t i = sizeof(Integer); i-- > 0;)
        out.push_back(static_cast<char>(static_cast<unsigned char>(static_cast<std::uint64_t>(value) >> (8 * i))));
}

// A message has at most 1 GB; this leaves room for the small parameters and what is around them.
inline constexpr std::size_t kMaxParameter = 0x3fff0000;

[[noreturn]] inline void throw_too_large() {
    throw Error("data too large", {.sqlstate = "54000",
                                   .hint = "One append can hold a little less than 1 GB, and the server limits each "
                                           "chunk by pg_rill.max_chunk_bytes."});
}

// A one-dimensional array in binary format, built element by element.
class ArrayParam {
public:
    explicit ArrayParam(TypeOid element) : element_(element) { bytes_.resize(kHeader); }

    void reserve(std::size_t elements, std::size_t bytes_each) {
        bytes_.reserve(kHeader + elements * (4 + bytes_each));
    }

    void add(std::string_view value) {
        if (value.size() > kMaxParameter || bytes_.size() + 4 + value.size() > kMaxParameter)
            throw_too_large();
        put_big_endian(bytes_, static_cast<std::uint32_t>(value.size()));
        bytes_.append(value);
        ++count_;
    }
    void add(std::int64_t value) {
        put_big_endian(bytes_, std::uint32_t{8});
        put_big_endian(bytes_, value);
        ++count_;
    }
    void add(std::int32_t value) {
        put_big_endian(bytes_, std::uint32_t{4});
        put_big_endian(bytes_, value);
        ++count_;
    }
    void add_null() {
        put_big_endian(bytes_, std::uint32_t{0xffffffff});
        has_null_ = true;
        ++count_;
    }

    // The finished array; leaves this object empty.
    [[nodiscard]] std::string take() {
        std::string header;
        put_big_endian(header, std::uint32_t{count_ == 0 ? 0U : 1U});
        put_big_endian(header, std::uint32_t{has_null_ ? 1U : 0U});
        put_big_endian(header, static_cast<std::uint32_t>(element_));
        if (count_ == 0)
            return header;
        put_big_endian(header, count_);
        put_big_endian(header, std::uint32_t{1});
        bytes_.replace(0, kHeader, header);
        return std::move(bytes_);
    }

private:
    static constexpr std::size_t kHeader = 20;

    TypeOid element_;
    std::uint32_t count_ = 0;
    bool has_null_ = false;
    std::string bytes_;
};

class Params {
public:
    Params &text(std::string_view value) { return view(kTextOid, value, 1); }
    Params &bytea(std::span<const std::byte> value) {
        return view(kByteaOid, {reinterpret_cast<const char *>(value.data()), value.size()}, 1);
    }
    Params &boolean(bool value) { return own(kBoolOid, std::string(1, value ? '\1' : '\0')); }
    Params &int4(std::int32_t value) {
        std::string bytes;
        put_big_endian(bytes, value);
        return own(kInt4Oid, std::move(bytes));
    }
    Params &int8(std::int64_t value) {
        std::string bytes;
        put_big_endian(bytes, value);
        return own(kInt8Oid, std::move(bytes));
    }
    Params &int8(const std::optional<std::int64_t> &value) { return value ? int8(*value) : null(kInt8Oid); }
    // Microseconds since 2000-01-01 UTC.
    Params &timestamptz(std::int64_t microseconds) {
        std::string bytes;
        put_big_endian(bytes, microseconds);
        return own(kTimestamptzOid, std::move(bytes));
    }
    // As text, which the server parses like a literal. `value` must not contain a zero byte.
    Params &timestamptz_text(std::string value) {
        own(kTimestamptzOid, std::move(value));
        formats_.back() = 0;
        return *this;
    }
    Params &jsonb_text(std::string value) {
        own(kJsonbOid, std::move(value));
        formats_.back() = 0;
        return *this;
    }
    // Microseconds alone: no days, no months.
    Params &interval(std::int64_t microseconds) {
        std::string bytes;
        put_big_endian(bytes, microseconds);
        put_big_endian(bytes, std::int64_t{0});
        return own(kIntervalOid, std::move(bytes));
    }
    Params &array(TypeOid array_type, ArrayParam &&value) { return own(array_type, value.take()); }
    Params &null(TypeOid type) {
        push(type, nullptr, 0, 1);
        return *this;
    }

    [[nodiscard]] int count() const noexcept { return static_cast<int>(types_.size()); }
    [[nodiscard]] const unsigned *types() const noexcept { return types_.data(); }
    [[nodiscard]] const char *const *values() const noexcept { return values_.data(); }
    [[nodiscard]] const int *lengths() const noexcept { return lengths_.data(); }
    [[nodiscard]] const int *formats() const noexcept { return formats_.data(); }

private:
    Params &own(TypeOid type, std::string value) { return view(type, owned_.emplace_back(std::move(value)), 1); }

    Params &view(TypeOid type, std::string_view value, int format) {
        // libpq counts in int, and a null pointer means SQL's NULL.
        if (value.size() > kMaxParameter)
            throw_too_large();
        push(type, value.data() == nullptr ? "" : value.data(), static_cast<int>(value.size()), format);
        return *this;
    }

    void push(TypeOid type, const char *value, int length, int format) {
        types_.push_back(type);
        values_.push_back(value);
        lengths_.push_back(length);
        formats_.push_back(format);
    }

    std::deque<std::string> owned_;  // a deque does not move its elements
    std::vector<unsigned> types_;
    std::vector<const char *> values_;
    std::vector<int> lengths_;
    std::vector<int> formats_;
};

}  // namespace rill::detail
