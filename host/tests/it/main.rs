mod architecture;
mod docs_tables;
