//! UDP in batches and the shard threads.
