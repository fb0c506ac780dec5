//! What every make of the store promises, asked of each of them; and what only one of them has to promise.

mod agreement;
mod bed;
mod claims;
mod clicks;
mod codes;
mod ledger;
mod only_redis;
mod only_sqlite;
mod redis_server;
mod sample;
mod settlements;
mod upkeep;

/// One test a make for each promise.
macro_rules! promises {
    ($($module:ident: $($promise:ident)*;)*) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    crate::$module::$promise(crate::bed::Bed::sqlite().await).await;
                }
            )*)*
        }
        mod redis {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    crate::$module::$promise(crate::bed::Bed::redis().await).await;
                }
            )*)*
        }
    };
}

promises! {
    codes:
        codes_are_kept_replaced_and_removed_each_site_its_own
        uses_are_counted_beside_the_code_and_survive_its_replacement
        uses_never_exceed_what_is_allowed_however_many_ask_at_once
        a_change_is_told_whoever_made_it;
    clicks:
        a_click_is_written_once_and_read_back_whole
        the_newest_click_of_a_visitor_is_found_since_a_moment
        a_click_without_a_body_has_no_delivery
        a_click_that_was_resolved_before_it_was_written_stays_resolved;
    ledger:
        an_entry_is_new_once_and_the_same_afterwards
        a_key_is_taken_for_its_site_and_job_alone
        the_same_key_with_other_content_is_a_conflict
        of_many_at_once_one_is_new
        what_the_platform_said_is_given_to_whoever_asks_again
        an_entry_that_cannot_count_its_code_leaves_nothing
        customers_stay_with_their_first_click
        what_was_accepted_is_found_by_its_key
        what_was_acknowledged_is_there_after_a_restart;
    claims:
        an_accepted_delivery_is_held_by_whoever_accepted_it
        the_oldest_due_come_first_and_not_before_their_time
        nothing_is_handed_out_twice
        a_lease_that_ran_out_is_claimed_by_another
        deliveries_of_all_sites_are_claimed_by_age;
    settlements:
        a_retry_comes_back_at_its_time_and_counts
        a_release_comes_back_and_does_not_count
        what_is_settled_stays_settled
        a_minted_click_goes_first_and_sets_its_entry_free
        an_entry_waits_for_a_pending_click_only
        a_dead_click_sets_free_what_waits_for_it
        many_entries_wait_for_one_click;
    upkeep:
        the_backlog_counts_what_waits_and_what_is_dead
        what_is_old_and_done_is_forgotten
        what_still_waits_is_not_forgotten
        it_is_ready_when_it_can_write;
}
