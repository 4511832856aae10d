// Access to guest memory, faults and the protection of pages that translated code was made from.
#include "base/process.hpp"
#include "user/memory/address_space.hpp"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

constexpr u64 host_page = 4096;
u64 page_of(u64 address) { return address & ~(host_page - 1); }

struct HostLine {
    u64 start, end, offset;
    std::string rest; // device, inode and path, as the kernel printed them
};

std::vector<HostLine> parse_maps(const std::string& text) {
    std::vector<HostLine> lines;
    size_t at = 0;
    while (at < text.size()) {
        size_t end = std::min(text.find('\n', at), text.size());
        std::string line = text.substr(at, end - at);
        at = end + 1;
        unsigned long long low, high, offset;
        int used = 0;
        if (std::sscanf(line.c_str(), "%llx-%llx %*4s %llx %n", &low, &high, &offset, &used) < 3 || used == 0) continue;
        lines.push_back({low, high, offset, line.substr(size_t(used))});
    }
    return lines;
}

std::string read_whole(const char* path) {
    std::string text;
    int fd = int(raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64(path), O_RDONLY | O_CLOEXEC));
    if (fd < 0) return text;
    char buffer[8192];
    for (i64 n; (n = raw_syscall(SYS_read, u64(fd), u64(buffer), sizeof buffer)) > 0;) text.append(buffer, size_t(n));
    raw_syscall(SYS_close, u64(fd));
    return text;
}

} // namespace

bool AddressSpace::read(u64 address, void* to, u64 length) {
    return in_range(address, length) && process::guarded_copy(to, host(address), length) == 0;
}

bool AddressSpace::write(u64 address, const void* from, u64 length) {
    if (!in_range(address, length)) return false;
    prepare_write(address, length);
    return process::guarded_copy(host(address), from, length) == 0;
}

bool AddressSpace::zero(u64 address, u64 length) {
    if (!in_range(address, length)) return false;
    prepare_write(address, length);
    return process::guarded_zero(host(address), length) == 0;
}

bool AddressSpace::read_string(u64 address, std::string& to, u64 max) {
    if (!in_range(address, 1)) return false;
    u64 room = std::min(max + 1, shape_.high - taken(address));
    i64 length = process::guarded_strnlen(static_cast<const char*>(host(address)), room);
    if (length < 0 || u64(length) >= room) return false;
    to.resize(size_t(length));
    // Another thread may write meanwhile: what is copied counts, up to a NUL that appeared.
    if (process::guarded_copy(to.data(), host(address), u64(length)) != 0) return false;
    if (size_t nul = to.find('\0'); nul != std::string::npos) to.resize(nul);
    return true;
}

// Invalidates the code of one host page and lifts its protection. False when nothing of ours protects it.
bool AddressSpace::lift_page(u64 page) {
    std::lock_guard change(change_);
    for (;;) {
        u64 generation;
        {
            std::lock_guard table(table_lock_);
            auto it = code_pages_.find(page);
            if (it == code_pages_.end() || !it->second.write_protected) return false;
            generation = it->second.generation;
        }
        if (code_) code_->invalidate(page, page + host_page);
        std::lock_guard table(table_lock_);
        auto it = code_pages_.find(page);
        if (it == code_pages_.end()) return false;
        if (it->second.generation != generation) continue; // translated again meanwhile
        code_pages_.erase(it);
        protected_pages_.fetch_sub(1, std::memory_order_relaxed);
        raw_syscall(SYS_mprotect, base_ + page, host_page, PROT_READ | PROT_WRITE);
        return true;
    }
}

void AddressSpace::lift_protection(u64 address, u64 length) {
    if (length == 0 || !in_range(address, length)) return;
    address = taken(address);
    for (u64 from = page_of(address);;) {
        u64 page;
        {
            std::lock_guard table(table_lock_);
            auto it = code_pages_.lower_bound(from), end = code_pages_.lower_bound(address + length);
            while (it != end && !it->second.write_protected) ++it;
            if (it == end) return;
            page = it->first;
        }
        lift_page(page);
        from = page + host_page;
    }
}

bool AddressSpace::make_accessible(u64 address, bool write) {
    u8 byte;
    if (!write) return process::guarded_load(host(address), &byte, 1);
    u64 old; // writes back what is there
    return process::guarded_rmw(host(address), old, 1, [](u64 v) { return v; });
}

AddressSpace::FaultResult AddressSpace::explain_fault(u64 address, bool write) {
    if (!in_range(address, 1)) return FaultResult::no_mapping;
    {
        std::lock_guard table(table_lock_);
        auto* m = table_.find(address);
        if (!m) return FaultResult::no_mapping;
        if (!(m->prot & (write ? prot::write : prot::read | prot::write | prot::exec)))
            return FaultResult::no_permission;
    }
    if (write && lift_page(page_of(address))) return FaultResult::retry;
    // Allowed by the table: another thread changed it meanwhile, or the file behind it ends before this page.
    return make_accessible(address, write) ? FaultResult::retry : FaultResult::bus;
}

int AddressSpace::protection(u64 address) {
    std::lock_guard table(table_lock_);
    auto* m = table_.find(address);
    return m ? m->prot : -1;
}

std::optional<Mapping> AddressSpace::mapping(u64 address) {
    std::lock_guard table(table_lock_);
    auto* m = table_.find(address);
    return m ? std::optional(*m) : std::nullopt;
}

u32 AddressSpace::fetch(u64 pc, u8* out, u32 max) {
    u32 readable = 0;
    {
        std::lock_guard table(table_lock_);
        for (u64 at = pc; readable < max;) {
            auto* m = table_.find(at);
            if (!m || !(m->prot & prot::exec)) break;
            readable = u32(std::min<u64>(max, m->end - pc));
            at = m->end;
        }
    }
    return readable - u32(process::guarded_copy(out, host(pc), readable));
}

AddressSpace::CodeWatch AddressSpace::protect_code(u64 address, bool stays_writable) {
    u64 page = page_of(address);
    std::lock_guard table(table_lock_);
    CodePage& code = code_pages_[page]; // also where nothing is mapped: what comes there is told
    code.generation++;
    auto* m = table_.find(page);
    if (!m) return CodeWatch::as_before;
    if (code.write_protected || !(m->prot & prot::write)) return CodeWatch::as_before;
    if (stays_writable) return CodeWatch::not_watched;
    if (raw_syscall(SYS_mprotect, base_ + page, host_page, PROT_READ) != 0) return CodeWatch::not_watched;
    code.write_protected = true;
    protected_pages_.fetch_add(1, std::memory_order_relaxed);
    return CodeWatch::from_now;
}

void AddressSpace::flush_code(u64 low, u64 high) {
    std::vector<u64> pages;
    {
        std::lock_guard table(table_lock_);
        for (auto it = code_pages_.lower_bound(page_of(low)); it != code_pages_.end() && it->first < high; ++it) {
            auto* m = table_.find(it->first);
            if (m && (m->shared || m->file)) pages.push_back(it->first);
        }
    }
    for (u64 page : pages)
        if (code_) code_->invalidate(page, page + host_page);
    if (code_) code_->flush(low, high); // private pages that stay writable
}

std::string AddressSpace::maps_text(const std::string& host_maps) {
    auto lines = parse_maps(host_maps);
    std::string text;
    std::lock_guard table(table_lock_);
    for (auto& [start, m] : table_) {
        char head[128];
        int n = std::snprintf(head, sizeof head, "%08llx-%08llx %c%c%c%c ", (unsigned long long)m.start,
                              (unsigned long long)m.end, m.prot & prot::read ? 'r' : '-',
                              m.prot & prot::write ? 'w' : '-', m.prot & prot::exec ? 'x' : '-', m.shared ? 's' : 'p');
        text.append(head, size_t(n));
        const HostLine* line = nullptr;
        u64 at = base_ + m.start;
        auto above =
            std::upper_bound(lines.begin(), lines.end(), at, [](u64 a, const HostLine& l) { return a < l.end; });
        if (above != lines.end() && above->start <= at) line = &*above;
        std::string rest = m.file && line ? line->rest : "00:00 0 ";
        n = std::snprintf(head, sizeof head, "%08llx ", (unsigned long long)(m.file ? m.offset : 0));
        text.append(head, size_t(n));
        // The kernel pads to column 73 before the name.
        if (size_t name = rest.find_first_of("/["); name != std::string::npos || m.label) {
            std::string numbers = name == std::string::npos ? rest : rest.substr(0, name);
            std::string label = name == std::string::npos ? m.label : rest.substr(name);
            while (!numbers.empty() && numbers.back() == ' ') numbers.pop_back();
            size_t column = text.size() - (text.rfind('\n') + 1) + numbers.size();
            rest = numbers + std::string(column < 73 ? 73 - column : 1, ' ') + label;
        }
        text += rest;
        text += '\n';
    }
    return text;
}

std::string AddressSpace::maps_text() { return maps_text(read_whole("/proc/self/maps")); }

} // namespace mimic::user
