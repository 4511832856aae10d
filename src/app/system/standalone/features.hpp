#pragma once

namespace mimic::app {

// `mimic --features`: guests, image formats, libraries and modules. The exit status.
int print_features();

} // namespace mimic::app
