//! What every make of the store promises, asked of each of them; and what only one of them has to promise.

mod agreement;
mod bed;
mod claims;
mod clicks;
mod clustered;
mod codes;
mod erasure;
mod failing_over;
mod history;
mod invariants;
mod ledger;
mod only_redis;
mod only_sqlite;
mod orders;
mod people;
mod redis_groups;
mod redis_server;
mod refunds;
mod sample;
mod settlements;
mod upkeep;

use std::{future::Future, pin::Pin};

type Promise = fn(bed::Bed) -> Pin<Box<dyn Future<Output = ()>>>;

/// One test a make for each promise; and all of them in a list, for a make that is dear to set up.
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
        fn all_promises() -> Vec<(&'static str, Promise)> {
            vec![$($((stringify!($promise), |bed| Box::pin($module::$promise(bed)))),*),*]
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
        a_click_without_a_visitor_gets_one_and_keeps_it
        a_click_without_a_body_has_no_delivery
        a_click_that_was_resolved_before_it_was_written_stays_resolved;
    ledger:
        an_entry_is_new_once_and_the_same_afterwards
        a_key_is_taken_for_its_site_source_and_job_alone
        the_same_key_with_other_content_is_a_conflict
        a_payment_is_taken_once_whatever_job_tells_of_it
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
        deliveries_of_all_sites_are_claimed_by_age
        what_is_not_to_be_sent_at_once_is_held_by_nobody
        what_waits_for_a_later_try_is_hastened;
    settlements:
        a_retry_comes_back_at_its_time_and_counts
        a_release_comes_back_and_does_not_count
        what_is_settled_stays_settled
        a_minted_click_goes_first_and_sets_its_entry_free
        an_entry_waits_for_a_pending_click_only
        a_dead_click_sets_free_what_waits_for_it
        many_entries_wait_for_one_click
        attempts_are_written_down_but_for_a_release
        a_closed_click_sets_free_what_waits_for_it;
    refunds:
        a_refund_waits_for_its_payment
        refunds_of_one_payment_go_one_after_the_other
        a_dead_payment_keeps_its_refunds_waiting
        a_closed_payment_closes_its_refunds
        an_orphan_finds_its_payment_when_that_comes
        names_are_their_sources_own_or_the_merchants
        of_several_payments_of_one_name_the_oldest_is_meant
        linked_names_mean_the_same_payment
        a_name_may_be_linked_to_several
        a_payment_that_only_the_platform_knows_has_a_lane_too
        a_refund_is_due_when_its_entry_says_so
        lanes_are_there_after_a_restart
        of_many_refunds_at_once_one_is_due;
    orders:
        an_order_keeps_its_first_click_and_a_second_contests_it
        a_click_binds_and_contests_only_so_many_orders;
    people:
        a_record_is_found_by_all_its_names
        a_record_says_all_that_is_known
        records_are_listed_by_state_a_page_at_a_time
        a_dead_delivery_is_sent_again
        a_dead_click_that_is_sent_again_is_pending_again
        a_dead_refund_that_is_sent_again_waits_its_turn
        what_is_discarded_is_not_sent
        what_hangs_on_a_discarded_one_goes_with_it_or_goes_on
        a_refund_behind_one_that_was_discarded_on_its_way_knows_what_went_back
        a_command_decides_while_the_service_runs
        nothing_is_sent_of_what_is_written_down_closed;
    erasure:
        nothing_is_left_of_a_person_who_is_erased
        what_waits_keeps_what_it_needs_until_it_is_sent
        what_waits_may_be_discarded
        an_erasure_is_told_to_every_opener;
    upkeep:
        the_backlog_counts_what_waits_and_what_is_dead
        what_is_old_and_done_is_forgotten
        what_still_waits_is_not_forgotten
        a_payment_and_its_refunds_are_forgotten_together
        what_nobody_will_ask_for_is_forgotten
        it_is_ready_when_it_can_write;
}
