// The user network: a small network of its own behind NAT, by libslirp, which is opened here and nowhere else.
#pragma once
#include "net/net.hpp"

namespace mimic::net {
Result<std::unique_ptr<BackEnd>> open_user(io::Loop& loop, std::string id, Options options);
}
