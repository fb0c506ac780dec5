//! What the standard library would bring: it is left out, for it triples the file.

use lol_alloc::{LeakingAllocator, LockedAllocator};

/// Nothing is given back: the worker reads one address in an instance of its own, which then is gone as a whole.
#[global_allocator]
static ALLOCATOR: LockedAllocator<LeakingAllocator> = LockedAllocator::new(LeakingAllocator::new());

/// Traps. The worker then reports an error and the snippet sends the address as it is.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
