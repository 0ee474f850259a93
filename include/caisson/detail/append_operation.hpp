#pragma once
// The operations of a log as the compiled library sees them: what is to be appended, how to copy
// it, what it waits for. Internal; <caisson/log.hpp> needs it.

#include <caisson/detail/completion.hpp>
#include <caisson/types.hpp>

#include <boost/asio/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace caisson {

/// Where an append went: the offsets [begin, end) of its records, contiguous and in order.
struct append_receipt {
    log_offset begin;
    log_offset end;
};

}  // namespace caisson

namespace caisson::detail {

/// Length prefix of a record in the native codec: u32 little-endian. Tied to
/// format::record_prefix_bytes in log.cpp.
inline constexpr std::size_t record_frame_bytes = 4;

inline std::byte* put_record_length(std::byte* to, std::size_t length_bytes) noexcept {
    const auto length = static_cast<std::uint32_t>(length_bytes);
    std::memcpy(to, &length, sizeof length);
    return to + sizeof length;
}

inline std::byte* put_bytes(std::byte* to, const void* from, std::size_t count) noexcept {
    if (count != 0) {
        std::memcpy(to, from, count);
    }
    return to + count;
}

/// One call that appends: sizes are known up front, the bytes are copied once, straight into the
/// group's buffer.
class append_operation : public completion<append_receipt> {
public:
    std::uint64_t framed_bytes = 0;      ///< what `encode` writes: lengths and payloads
    std::uint64_t record_bytes_max = 0;  ///< the largest payload
    std::uint64_t records = 0;
    log_offset begin;  ///< set at admission

    void encode(std::byte* to) const noexcept { encode_(*this, to); }

protected:
    using encode_function = void (*)(const append_operation&, std::byte*) noexcept;
    append_operation(end_function end, encode_function write) noexcept
        : completion(end), encode_(write) {}
    ~append_operation() = default;

private:
    encode_function encode_;
};

template <class ConstBufferSequence>
class gathered_append : public append_operation {
protected:
    gathered_append(end_function end, ConstBufferSequence record)
        : append_operation(end, &gathered_append::write), record_(std::move(record)) {
        record_bytes_max = net::buffer_size(record_);
        framed_bytes = record_bytes_max + record_frame_bytes;
        records = 1;
    }
    ~gathered_append() = default;

private:
    static void write(const append_operation& base, std::byte* to) noexcept {
        const auto& self = static_cast<const gathered_append&>(base);
        to = put_record_length(to, self.record_bytes_max);
        const auto end = net::buffer_sequence_end(self.record_);
        for (auto piece = net::buffer_sequence_begin(self.record_); piece != end; ++piece) {
            const net::const_buffer bytes(*piece);
            to = put_bytes(to, bytes.data(), bytes.size());
        }
    }

    ConstBufferSequence record_;
};

class batch_append : public append_operation {
protected:
    batch_append(end_function end, std::span<const net::const_buffer> batch) noexcept
        : append_operation(end, &batch_append::write), batch_(batch) {
        for (const auto& record : batch_) {
            record_bytes_max = record.size() > record_bytes_max ? record.size() : record_bytes_max;
            framed_bytes += record.size() + record_frame_bytes;
        }
        records = batch_.size();
    }
    ~batch_append() = default;

private:
    static void write(const append_operation& base, std::byte* to) noexcept {
        for (const auto& record : static_cast<const batch_append&>(base).batch_) {
            to = put_record_length(to, record.size());
            to = put_bytes(to, record.data(), record.size());
        }
    }

    std::span<const net::const_buffer> batch_;
};

/// Arguments of an initiation; each names the operation that it makes.
template <class ConstBufferSequence>
struct gathered_record {
    using operation = gathered_append<ConstBufferSequence>;
    explicit gathered_record(const ConstBufferSequence& buffers) : record(buffers) {}
    operator ConstBufferSequence() && { return std::move(record); }
    ConstBufferSequence record;
};
struct record_batch {
    using operation = batch_append;
    explicit record_batch(std::span<const net::const_buffer> records) : batch(records) {}
    operator std::span<const net::const_buffer>() const { return batch; }
    std::span<const net::const_buffer> batch;
};

class wait_operation : public completion<void> {
public:
    log_offset target_end;

protected:
    wait_operation(end_function end, log_offset until, durability) noexcept
        : completion(end), target_end(until) {}
    ~wait_operation() = default;
};

class close_operation : public completion<void> {
protected:
    explicit close_operation(end_function end) noexcept : completion(end) {}
    ~close_operation() = default;
};

}  // namespace caisson::detail
