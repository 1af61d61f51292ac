"""Rows of the fault catalogue that tests outside this folder show: row, what happens, and the tests."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Elsewhere:
    """What happens at a row, and the test, ``path below tests/::function``, that shows it."""

    row: int
    happens: str
    test: str


RECEIVE = "integration/test_receive_faults.py"
SERIES = "integration/test_receive_series.py"
AWAY = "integration/test_receive_ledger_away.py"
LISTENERS = "integration/test_receive_listeners.py"
GUARD = "unit/dicom_node/receive/test_guard.py"
TLS = "unit/dicom_node/receive/test_tls.py"
FUZZ = "unit/test_fuzz.py"
LIMITS = "unit/dicom_node/receive/test_limits.py"
SCP = "unit/dicom_node/receive/test_scp.py"
JOBS = "unit/dicom_node/ledger/test_jobs.py"
JUDGE = "unit/dicom_node/series/test_judge.py"
HEADERS = "unit/dicom_node/series/test_headers.py"
VOXELS = "unit/dicom_node/series/test_voxels.py"
MIGRATIONS = "unit/test_migrations.py"
MEMORY = "unit/sr_engine/inference/test_memory.py"
CELERY = "integration/test_celery_wiring.py"
CHILD = "unit/worker/test_child.py"
READINESS = "unit/worker/test_readiness.py"
RESTORE = "unit/worker/test_steps_restore.py"
ODD = "acceptance/test_odd_files.py"
PUBLIC = "acceptance/test_public_folders.py"
KINDS = "unit/worker/test_deliver_kinds.py"

ELSEWHERE = tuple(
    Elsewhere(row, happens, test)
    for row, happens, *tests in (
        (
            5,
            "of several listeners on one port one may die: the others take the rest",
            f"{LISTENERS}::test_one_series_from_four_senders_through_two_listeners_of_which_one_is_killed",
            f"{RECEIVE}::test_a_kill_in_the_middle_of_an_association_loses_nothing_acknowledged",
        ),
        (
            7,
            "0xA700 past the watermark and when full; nothing acknowledged is lost; it recovers by itself",
            f"{RECEIVE}::test_a_full_disk_refuses_loses_nothing_and_recovers_by_itself",
        ),
        (
            9,
            "0xA700, no half file is left; the next image is taken when the disk obeys again",
            f"{RECEIVE}::test_a_failing_disk_is_answered_with_out_of_resources_until_it_heals",
        ),
        (
            13,
            "what was received meanwhile is kept in memory and in the spool, and entered afterwards",
            f"{AWAY}::test_a_database_that_is_killed_and_comes_back_gets_what_was_received_meanwhile",
            f"{AWAY}::test_a_listener_that_stops_while_the_ledger_is_away_enters_it_at_its_next_start",
        ),
        (
            15,
            "the answer leaves after file, name and folder are synced; a kill at any call leaves a whole file or none",
            f"{RECEIVE}::test_the_answer_leaves_after_file_rename_and_folders_are_synced",
            f"{RECEIVE}::test_a_kill_at_each_durable_step_leaves_a_whole_file_or_none",
        ),
        (
            16,
            "after circuit_failures in a row one delivery at a time tries; the others wait and lose no attempt",
            "unit/dicom_node/ledger/test_circuits.py::test_waiting_behind_it_costs_no_attempt_and_says_why",
            "unit/dicom_node/ledger/test_circuits.py::test_one_delivery_alone_tries_whether_the_pacs_is_back",
        ),
        (
            16,
            "DICOMweb services and folders the same; one destination that is away keeps nothing from the others",
            f"{KINDS}::test_a_pacs_that_is_away_keeps_nothing_from_a_service_and_a_folder",
            f"{KINDS}::test_a_service_or_folder_that_is_away_is_left_alone_after_a_while",
        ),
        (
            17,
            "a DICOMweb service that refuses us: parked with what to do; sent once the secret is right",
            f"{KINDS}::test_a_service_that_does_not_know_us_waits_for_a_person",
        ),
        (
            18,
            "a batch of STOW-RS whose answer was lost comes twice at most",
            f"{KINDS}::test_a_store_that_was_cut_off_goes_on_with_the_rest",
        ),
        (
            19,
            "the same in an answer of STOW-RS, 202 or 409",
            f"{KINDS}::test_one_instance_that_is_refused_is_named_and_the_rest_stays",
            "unit/dicom_node/send/test_stow.py::test_every_instance_has_its_own_outcome",
        ),
        (
            20,
            "what QIDO-RS does not list, and a file that was damaged in a folder, is sent again, and that alone",
            f"{KINDS}::test_what_a_service_lost_is_sent_again",
            f"{KINDS}::test_a_file_that_was_damaged_is_written_again",
        ),
        (
            27,
            "after delivery: what the PACS has stays, the conflict is held and audited",
            f"{SERIES}::test_a_conflict_after_delivery_is_held_and_leaves_what_was_delivered",
        ),
        (
            28,
            "from two senders at once too",
            f"{SERIES}::test_one_series_of_two_patients_from_two_senders_at_once_is_held",
        ),
        (
            30,
            "the sender is answered 0xC000 at once, the bytes lie in quarantine with the reason",
            f"{ODD}::test_what_is_refused_as_not_understood_lies_in_quarantine_with_a_reason",
            f"{VOXELS}::test_pixel_data_of_the_wrong_length_are_refused",
        ),
        (
            31,
            "the image is named, the series held",
            f"{PUBLIC}::test_a_corrupt_slice_holds_its_series_and_is_named",
        ),
        (
            31,
            "what a codec does to its process ends with it: every restoration has a process of its own, with limits",
            f"{CHILD}::test_a_job_is_restored_in_a_process_of_its_own",
            f"{CHILD}::test_memory_beyond_the_limit_is_refused_in_the_child",
        ),
        (
            32,
            "refused at the association, named in the log",
            f"{SCP}::test_lossy_and_deflated_syntaxes_are_refused_and_logged",
            f"{ODD}::test_what_the_node_does_not_take_is_refused_at_the_association",
        ),
        (
            33,
            "other SOP classes are refused at the association, localizers and derived series skipped with the reason",
            f"{JUDGE}::test_what_is_not_ours_is_skipped",
            f"{JUDGE}::test_a_localizer_is_set_aside",
            f"{SERIES}::test_a_derived_series_that_comes_back_is_skipped_whatever_a_pacs_made_of_it",
        ),
        (
            34,
            "held or skipped with place and reason; overlapping acquisitions become stacks of their own, never blended",
            f"{JUDGE}::test_every_slice_ends_in_exactly_one_verdict_whatever_the_order",
            f"{JUDGE}::test_gaps_between_slices_are_held",
            f"{JUDGE}::test_overlapping_acquisitions_are_split_and_never_blended",
            f"{PUBLIC}::test_a_folder_ends_as_the_table_says",
        ),
        (
            35,
            "read right, or refused with the reason",
            f"{VOXELS}::test_signed_values_keep_their_sign",
            f"{VOXELS}::test_each_slice_has_its_own_slope_and_intercept",
            f"{VOXELS}::test_padding_becomes_air_even_where_it_is_bright",
            f"{HEADERS}::test_what_a_restoration_needs_and_misses_is_a_problem_in_words",
            f"{ODD}::test_every_stored_image_belongs_to_a_job_that_ended_with_a_reason",
        ),
        (
            36,
            "smaller tiles, then the CPU, then a named end; the figures say which tiles it took",
            f"{MEMORY}::test_a_series_that_does_not_fit_is_restored_in_smaller_tiles_and_says_so",
            f"{MEMORY}::test_a_gpu_that_is_too_small_leaves_the_work_to_the_cpu",
            f"{MEMORY}::test_a_machine_that_is_too_small_is_named_and_not_tried_for_ever",
            f"{MEMORY}::test_a_real_limit_on_memory_makes_tiles_smaller",
            f"{RESTORE}::test_a_job_that_fits_no_memory_is_parked_with_what_to_do",
        ),
        (
            37,
            "not taken for a full one: the job is given back; after three in a row the worker refuses and says so",
            f"{MEMORY}::test_a_lost_gpu_is_not_taken_for_a_full_one",
            f"{CHILD}::test_a_lost_gpu_is_told_from_a_death",
            f"{READINESS}::test_a_gpu_that_is_lost_three_times_in_a_row_makes_the_worker_refuse",
        ),
        (
            38,
            "the worker refuses to claim and says why; jobs stay queued; it goes on when the weights are back",
            f"{READINESS}::test_damaged_weights_are_refused_until_they_are_mended",
            f"{READINESS}::test_missing_weights_leave_the_job_queued_and_are_named",
            f"{READINESS}::test_weights_of_another_version_restore_nothing_that_is_queued_for_the_node_s",
            f"{RESTORE}::test_weights_that_were_replaced_meanwhile_do_not_pass_for_those_the_job_is_for",
        ),
        (
            39,
            "held with the reason, nothing is sent",
            f"{RESTORE}::test_a_result_that_cannot_be_right_is_held_with_the_reason",
        ),
        (
            40,
            "after deaths_allowed deaths it fails with the reason, others go on, a person may retry it",
            f"{JOBS}::test_a_job_that_kills_its_workers_fails_instead_of_killing_the_next",
            f"{CHILD}::test_a_job_that_kills_its_process_each_time_fails_and_the_next_one_is_restored",
        ),
        (
            41,
            "ended after job_limit_s, failed with the reason, though its lease was renewed all the time",
            f"{CHILD}::test_a_job_that_hangs_is_ended_and_fails_though_its_lease_is_renewed",
        ),
        (
            42,
            "the program does not start, one sentence names the key and the fix",
            "unit/worker/test_settings.py::test_a_bad_file_is_refused_with_the_key_and_the_fix",
            f"{SCP}::test_a_port_in_use_is_refused_with_the_fix",
        ),
        (
            43,
            "the old schema or the new one; a newer schema is refused by name; down and up keep every row",
            f"{MIGRATIONS}::test_a_program_killed_in_a_migration_leaves_the_old_schema",
            f"{MIGRATIONS}::test_a_ledger_of_a_newer_program_is_refused_with_a_clear_sentence",
            f"{MIGRATIONS}::test_down_and_up_again_keeps_every_row_that_both_know",
            f"{MIGRATIONS}::test_programs_that_start_at_once_take_turns",
        ),
        (
            44,
            "idle connections take no place, silent senders are let go, one address may not fill the house",
            f"{LIMITS}::test_connections_that_never_ask_take_no_place",
            f"{LIMITS}::test_one_address_may_not_take_every_place",
            f"{LIMITS}::test_memory_does_not_grow_with_what_is_sent",
            f"{SCP}::test_a_sender_that_falls_silent_inside_a_pdu_is_let_go",
        ),
        (
            44,
            "a PDU has a length and a deadline, an image too; floods are slowed, memory stays flat",
            f"{GUARD}::test_a_first_message_that_cannot_be_ends_the_connection_at_once",
            f"{GUARD}::test_a_pdu_that_claims_too_much_ends_the_association_at_once",
            f"{GUARD}::test_a_pdu_that_trickles_is_let_go_at_its_deadline",
            f"{GUARD}::test_an_image_that_trickles_is_let_go_and_others_are_not_kept_waiting",
            f"{GUARD}::test_two_hundred_idle_connections_keep_nobody_out",
            f"{GUARD}::test_memory_stays_flat_under_attack",
            f"{TLS}::test_one_that_never_shakes_hands_keeps_nobody_waiting",
        ),
        (
            45,
            "only errors that the program raises on purpose come out; honest senders are served meanwhile",
            f"{FUZZ}::test_what_was_found_before_breaks_nothing",
            f"{FUZZ}::test_mutated_conversations_leave_the_listener_as_it_was",
        ),
        (
            46,
            "nothing acknowledged is lost",
            f"{LIMITS}::test_under_a_flood_of_senders_nothing_acknowledged_is_lost",
        ),
        (
            47,
            "a second signal gives the job back at once; that was no attempt",
            f"{CHILD}::test_a_drain_lets_the_job_in_hand_finish_and_begins_no_other",
            f"{CHILD}::test_a_worker_that_must_stop_gives_its_job_back_at_once_and_that_was_no_attempt",
            f"{CELERY}::test_a_worker_that_is_told_twice_to_stop_gives_its_job_back_at_once_and_the_next_one_does_it",
        ),
        (
            48,
            "what is not settled never goes; a death between decision and removal is made good",
            "unit/dicom_node/ledger/test_purging.py::test_what_is_not_settled_never_goes",
            "unit/worker/test_retention.py::test_a_verified_series_goes_with_its_result_and_an_unsent_one_stays",
        ),
        (
            49,
            "a row that is slipped in is found too",
            "unit/dicom_node/ledger/test_chain.py::test_a_row_slipped_in_is_named",
        ),
        (
            49,
            "the database refuses both; without its triggers, a lost end or a trail written anew is found too",
            "unit/dicom_node/ledger/test_trail.py::test_the_database_refuses_to_change_or_remove_a_row",
            "unit/dicom_node/audit/test_check.py::test_tampering_is_named",
            "unit/dicom_node/audit/test_check.py::test_a_trail_that_was_written_anew_is_seen_by_its_anchors",
        ),
    )
    for test in tests
)
