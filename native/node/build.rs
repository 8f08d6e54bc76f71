//! Link arguments that Node add-ons need on each platform.

fn main() {
    napi_build::setup();
}
