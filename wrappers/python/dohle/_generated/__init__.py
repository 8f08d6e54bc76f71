"""What `xtask codegen` renders: options, errors and operations."""
