// Files of web and FTP servers, as ranges of bytes. The library is behind a module (src/modules/curl.cpp).
#pragma once
#include "base/module.hpp"
#include <memory>
#include <span>

namespace mimic::remote {

struct HttpSettings {
    std::string url;
    std::string user, password, proxy_user, proxy_password, cookie;
    bool verify = true;   // the server's certificate
    unsigned timeout = 5; // seconds without progress after which a request fails
};

// Blocks; any number of threads may call it at once.
class HttpFile {
public:
    virtual ~HttpFile() = default;
    virtual u64 size() const = 0;
    // Exactly these bytes. False with `error`.
    virtual bool fetch(u64 offset, std::span<u8> into, std::string& error) = 0;
};

struct HttpModule {
    static constexpr std::string_view name = "curl";
    static constexpr unsigned revision = 1;
    modules::Head head;
    // Asks the server for the size, and that it serves ranges. Null with `error`.
    std::unique_ptr<HttpFile> (*open)(const HttpSettings& settings, std::string& error);
};

} // namespace mimic::remote
