#include "base/result.hpp"
#include <cerrno>
#include <cstring>

namespace mimic {

std::string_view to_string(ErrorKind kind) {
    switch (kind) {
    case ErrorKind::invalid_argument: return "invalid-argument";
    case ErrorKind::not_found: return "not-found";
    case ErrorKind::exists: return "exists";
    case ErrorKind::permission: return "permission";
    case ErrorKind::unsupported: return "unsupported";
    case ErrorKind::busy: return "busy";
    case ErrorKind::io: return "io";
    case ErrorKind::no_space: return "no-space";
    case ErrorKind::corrupt: return "corrupt";
    case ErrorKind::out_of_memory: return "out-of-memory";
    case ErrorKind::interrupted: return "interrupted";
    case ErrorKind::timed_out: return "timed-out";
    case ErrorKind::disconnected: return "disconnected";
    case ErrorKind::cancelled: return "cancelled";
    }
    return "unknown";
}

static ErrorKind kind_of(int host_errno) {
    switch (host_errno) {
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR: return ErrorKind::invalid_argument;
    case ENOENT:
    case ENXIO:
    case ENODEV: return ErrorKind::not_found;
    case EEXIST: return ErrorKind::exists;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorKind::permission;
    case ENOSYS:
    case EOPNOTSUPP: return ErrorKind::unsupported;
    case EBUSY:
    case EAGAIN:
    case ETXTBSY: return ErrorKind::busy;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return ErrorKind::no_space;
    case ENOMEM: return ErrorKind::out_of_memory;
    case EINTR: return ErrorKind::interrupted;
    case ETIMEDOUT: return ErrorKind::timed_out;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
    case ENOTCONN: return ErrorKind::disconnected;
    case ECANCELED: return ErrorKind::cancelled;
    default: return ErrorKind::io;
    }
}

Error Error::in(std::string_view context) && { return Error(kind_, std::string(context) + ": " + message_, errno_); }

Error Error::system(int host_errno, std::string what) {
    return Error(kind_of(host_errno), std::move(what) + ": " + std::strerror(host_errno), host_errno);
}

} // namespace mimic
