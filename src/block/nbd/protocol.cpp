#include "block/nbd/protocol.hpp"
#include <cerrno>

namespace mimic::block::nbd {

u32 error_number(const Error& error) {
    switch (error.host_errno()) {
    case EPERM:
    case EACCES:
    case EROFS: return eperm;
    case ENOMEM: return enomem;
    case EINVAL: return einval;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return enospc;
    case EOVERFLOW: return eoverflow;
    case EOPNOTSUPP: return enotsup;
    case ESHUTDOWN: return eshutdown;
    case 0: break;
    default: return eio;
    }
    switch (error.kind()) {
    case ErrorKind::permission: return eperm;
    case ErrorKind::invalid_argument: return einval;
    case ErrorKind::no_space: return enospc;
    case ErrorKind::out_of_memory: return enomem;
    case ErrorKind::unsupported: return enotsup;
    case ErrorKind::cancelled: return eshutdown;
    default: return eio;
    }
}

Error error_of(u32 number, std::string_view what) {
    switch (number) {
    case eperm: return Error::from_errno(EPERM, "{}", what);
    case enomem: return Error::from_errno(ENOMEM, "{}", what);
    case einval: return Error::from_errno(EINVAL, "{}", what);
    case enospc: return Error::from_errno(ENOSPC, "{}", what);
    case eoverflow: return Error::from_errno(EOVERFLOW, "{}", what);
    case enotsup: return Error::from_errno(EOPNOTSUPP, "{}", what);
    case eshutdown: return Error::from_errno(ESHUTDOWN, "{}", what);
    default: return Error::from_errno(EIO, "{}", what);
    }
}

std::string_view command_name(u16 command) {
    static constexpr std::string_view names[] = {"read", "write", "disconnect",   "flush",
                                                 "trim", "cache", "write zeroes", "block status"};
    return command < std::size(names) ? names[command] : "unknown command";
}

Result<Request> Request::parse(const u8* p) {
    if (get32(p) != request_magic)
        return Error::invalid_argument("request has magic {:#010x}, expected {:#010x}", get32(p), request_magic);
    Request r;
    r.flags = get16(p + 4);
    r.command = get16(p + 6);
    r.cookie = get64(p + 8);
    r.offset = get64(p + 16);
    r.length = get32(p + 24);
    return r;
}

void Request::write(u8* p) const {
    put32(p, request_magic);
    put16(p + 4, flags);
    put16(p + 6, command);
    put64(p + 8, cookie);
    put64(p + 16, offset);
    put32(p + 24, length);
}

} // namespace mimic::block::nbd
