//! The two engines that modules run in.
//!
//! Small modules get their memory from a pool, which makes a fresh instance in microseconds. What imports WASI, is made of
//! many parts, or may use more memory than a place in the pool has gets its memory from the operating system; it takes
//! milliseconds anyway.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::ticker::{Ticker, Ticking};

/// The most memory of a module in the pool.
pub(super) const POOLED_BYTES_MAX: usize = 64 << 20;
/// How much of it stays resident between calls: what a small module touches. Each place in use costs that much.
const RESIDENT_BYTES: usize = 2 << 20;
/// Calls that are under way at once in the pool; there are fewer workers than that.
const CALLS_MAX: u32 = 32;
/// A component is made of a few core modules: its own, and small ones that connect it.
pub(super) const CORE_INSTANCES_MAX: u32 = 8;
/// Its own memory, and one more.
pub(super) const MEMORIES_MAX: u32 = 2;
/// A table of its own, and one of what connects it.
pub(super) const TABLES_MAX: u32 = 4;
/// What compilers make has a few hundred.
pub(super) const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Deep enough for any honest policy; recursion without end is over in a millisecond.
const STACK_BYTES: usize = 256 << 10;

/// Which engine a module needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Size {
    /// That with the pool.
    Small,
    /// The other.
    Large,
}

/// The engines.
pub(super) struct Engines {
    pub(super) small: Engine,
    pub(super) large: Engine,
    ticker: Ticker,
}

impl Engines {
    pub(super) fn new() -> wasmtime::Result<Self> {
        let small = Engine::new(&small())?;
        let large = Engine::new(&common())?;
        let ticker = Ticker::start([small.clone(), large.clone()]);
        Ok(Self { small, large, ticker })
    }

    pub(super) fn of(&self, size: Size) -> &Engine {
        match size {
            Size::Small => &self.small,
            Size::Large => &self.large,
        }
    }

    /// Lets the epoch go up until the value is dropped.
    pub(super) fn tick(&self) -> Ticking<'_> {
        self.ticker.tick()
    }
}

/// What makes the same input give the same output, and ends what does not end by itself.
fn common() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .max_wasm_stack(STACK_BYTES);
    config
}

/// Traps are found by the code itself, rather than by pages that may not be touched: a place then keeps what its last user
/// had grown into, and neither growing nor starting anew changes the rights of pages, which interrupts the other cores each
/// time. A fresh instance takes a third less for it.
fn small() -> Config {
    let mut config = common();
    config
        .signals_based_traps(false)
        .memory_guard_size(0)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(CALLS_MAX)
        .total_core_instances(CALLS_MAX * CORE_INSTANCES_MAX)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .total_memories(CALLS_MAX * MEMORIES_MAX)
        .total_tables(CALLS_MAX * TABLES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_tables_per_module(TABLES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_memories_per_module(MEMORIES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(POOLED_BYTES_MAX)
        .linear_memory_keep_resident(RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}
