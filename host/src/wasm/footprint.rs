//! How much room a component takes, counted before it is compiled.

use wasmparser::{Instance, Parser, Payload};

use super::engines::{CORE_INSTANCES_MAX, MEMORIES_MAX, POOLED_BYTES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};

/// What a component is made of: as much as it can be if nothing in it is instantiated twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Footprint {
    core_instances: usize,
    memories: usize,
    memory_bytes: u64,
    tables: usize,
    table_elements: u64,
}

/// Whether a component finds room in a place of the pool.
pub(super) fn fits_the_pool(component: &[u8]) -> wasmparser::Result<bool> {
    let Footprint { core_instances, memories, memory_bytes, tables, table_elements } =
        Footprint::of(component)?;
    let within = |count: usize, max: u32| count <= max as usize;
    Ok(within(core_instances, CORE_INSTANCES_MAX)
        && within(memories, MEMORIES_MAX)
        && within(tables, TABLES_MAX)
        && memory_bytes <= POOLED_BYTES_MAX as u64
        && table_elements <= TABLE_ELEMENTS_MAX as u64)
}

impl Footprint {
    fn of(component: &[u8]) -> wasmparser::Result<Self> {
        let mut found = Self::default();
        // This goes into the modules and components within, too.
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::InstanceSection(instances) => {
                    for instance in instances {
                        // One that is made of exports only gives names to what there is.
                        found.core_instances +=
                            usize::from(matches!(instance?, Instance::Instantiate { .. }));
                    }
                }
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        let memory = memory?;
                        let page_bytes = 1_u64 << memory.page_size_log2.unwrap_or(16).min(16);
                        found.memories += 1;
                        found.memory_bytes =
                            found.memory_bytes.max(memory.initial.saturating_mul(page_bytes));
                    }
                }
                Payload::TableSection(tables) => {
                    for table in tables {
                        found.tables += 1;
                        found.table_elements = found.table_elements.max(table?.ty.initial);
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasm::test_modules::{Policy, of_many_instances};
    use crate::wasm::{Host, Limits, contract};

    fn fits(bytes: &[u8]) -> bool {
        fits_the_pool(&contract::component(bytes).unwrap()).unwrap()
    }

    #[test]
    fn what_a_compiler_makes_fits_and_what_is_of_many_parts_does_not() {
        assert!(fits(&Policy::default().build()));
        assert!(!fits(&of_many_instances()));
    }

    #[test]
    fn what_does_not_fit_runs_all_the_same() {
        let host = Host::new(None).unwrap();
        let module = host.load(&of_many_instances(), &Limits::default()).unwrap();
        assert_eq!(module.description().name, "test");
    }

    #[test]
    fn memories_and_tables_are_counted_wherever_they_are() {
        let of = |text: &str| Footprint::of(&wat::parse_str(text).unwrap()).unwrap();
        let module = "(core module (memory 3) (memory 1) (table 7 funcref) (table 5 funcref))";
        let found =
            Footprint { memories: 2, memory_bytes: 3 << 16, tables: 2, table_elements: 7, core_instances: 0 };
        assert_eq!(of(&format!("(component {module})")), found);
        assert_eq!(of(&format!("(component (component {module}))")), found);
        let twice =
            format!("(component {module} (core instance (instantiate 0)) (core instance (instantiate 0)))");
        assert_eq!(of(&twice), Footprint { core_instances: 2, ..found });
    }
}
