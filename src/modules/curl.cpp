// Ranges of files through libcurl's easy interface ("libcurl - programming tutorial"; CURLOPT_ pages).
#include "remote/http.hpp"
#include <cctype>
#include <cstring>
#include <curl/curl.h>
#include <mutex>
#include <vector>

namespace mimic::remote {

namespace {

struct Into {
    std::span<u8> memory;
    size_t filled = 0;
    bool too_much = false;
};

size_t take(char* data, size_t size, size_t count, void* opaque) {
    auto& to = *static_cast<Into*>(opaque);
    size_t n = size * count;
    // A server that ignores the range sends the whole file.
    if (n > to.memory.size() - to.filled) {
        to.too_much = true;
        return 0;
    }
    std::memcpy(to.memory.data() + to.filled, data, n);
    to.filled += n;
    return n;
}

size_t drop(char*, size_t size, size_t count, void*) { return size * count; }

size_t take_header(char* data, size_t size, size_t count, void* opaque) {
    std::string line(data, size * count);
    for (char& c : line) c = char(std::tolower(u8(c)));
    constexpr std::string_view name = "accept-ranges:";
    if (line.starts_with("http/")) *static_cast<bool*>(opaque) = false; // of a redirection
    if (line.starts_with(name) && line.find("bytes", name.size()) != line.npos) *static_cast<bool*>(opaque) = true;
    return size * count;
}

class Curl final : public HttpFile {
public:
    explicit Curl(HttpSettings s) : s_(std::move(s)) {}
    ~Curl() override {
        for (CURL* c : idle_) curl_easy_cleanup(c);
    }
    u64 size() const override { return size_; }

    bool open(std::string& error) {
        bool web = s_.url.starts_with("http"), ranges = false;
        CURL* c = handle();
        if (!c) return error = "curl: no memory", false;
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
        curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
        curl_easy_setopt(c, CURLOPT_HEADERDATA, &ranges);
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, drop);
        CURLcode code = curl_easy_perform(c);
        curl_off_t length = -1;
        if (code == CURLE_OK) curl_easy_getinfo(c, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        std::string why = text(c, code);
        curl_easy_setopt(c, CURLOPT_NOBODY, 0L);
        curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, nullptr);
        curl_easy_setopt(c, CURLOPT_HEADERDATA, nullptr);
        give_back(c);
        if (code != CURLE_OK) return error = why, false;
        if (length < 0) return error = "the server did not report the file's size", false;
        if (web && !ranges) return error = "the server does not serve ranges of bytes (Accept-Ranges)", false;
        size_ = u64(length);
        return true;
    }

    bool fetch(u64 offset, std::span<u8> into, std::string& error) override {
        if (into.empty()) return true;
        CURL* c = handle();
        if (!c) return error = "curl: no memory", false;
        Into to{into};
        std::string range = std::to_string(offset) + "-" + std::to_string(offset + into.size() - 1);
        curl_easy_setopt(c, CURLOPT_RANGE, range.c_str());
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(c, CURLOPT_WRITEDATA, &to);
        CURLcode code = curl_easy_perform(c);
        long status = 0;
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
        bool whole = code == CURLE_OK && to.filled == into.size();
        if (to.too_much || (whole && s_.url.starts_with("http") && status == 200 && into.size() != size_))
            error = "the server sent another range than " + range, whole = false;
        else if (code != CURLE_OK)
            error = text(c, code);
        else if (!whole)
            error = "the server sent " + std::to_string(to.filled) + " bytes of the range " + range;
        give_back(c);
        return whole;
    }

private:
    static std::string text(CURL* c, CURLcode code) {
        long status = 0;
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
        std::string why = curl_easy_strerror(code);
        return code == CURLE_HTTP_RETURNED_ERROR ? why + " (status " + std::to_string(status) + ")" : why;
    }

    // A handle keeps its connection for the next request.
    CURL* handle() {
        {
            std::lock_guard held(lock_);
            if (!idle_.empty()) {
                CURL* c = idle_.back();
                idle_.pop_back();
                return c;
            }
        }
        CURL* c = curl_easy_init();
        if (!c) return nullptr;
        curl_easy_setopt(c, CURLOPT_URL, s_.url.c_str());
        curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
        curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(c, CURLOPT_MAXREDIRS, 10L);
        // What a server redirects to stays on the network.
        curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https,ftp,ftps");
        curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https,ftp,ftps");
        curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, long(s_.timeout));
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, long(s_.timeout));
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, long(s_.verify));
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, s_.verify ? 2L : 0L);
        auto set = [c](CURLoption option, const std::string& value) {
            if (!value.empty()) curl_easy_setopt(c, option, value.c_str());
        };
        set(CURLOPT_USERNAME, s_.user);
        set(CURLOPT_PASSWORD, s_.password);
        set(CURLOPT_PROXYUSERNAME, s_.proxy_user);
        set(CURLOPT_PROXYPASSWORD, s_.proxy_password);
        set(CURLOPT_COOKIE, s_.cookie);
        return c;
    }
    void give_back(CURL* c) {
        std::lock_guard held(lock_);
        idle_.push_back(c);
    }

    HttpSettings s_;
    u64 size_ = 0;
    std::mutex lock_;
    std::vector<CURL*> idle_;
};

std::unique_ptr<HttpFile> open(const HttpSettings& settings, std::string& error) {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (ready != CURLE_OK) return error = curl_easy_strerror(ready), nullptr;
    auto file = std::make_unique<Curl>(settings);
    if (!file->open(error)) return nullptr;
    return file;
}

} // namespace

} // namespace mimic::remote

extern "C" __attribute__((visibility("default"))) const mimic::remote::HttpModule mimic_module;
const mimic::remote::HttpModule mimic_module = {
    .head = {"curl", mimic::remote::HttpModule::revision, "libcurl " LIBCURL_VERSION " (curl licence)"},
    .open = mimic::remote::open,
};
