//! The stuck detector, by hand and through guarded tools.

use std::sync::Arc;

use executus_core::digest::Digest;
use executus_core::{Tool, ToolError};
use executus_guard::{
    ConfigError, GuardConfig, Level, Observed, Page, Role, SignalKind, StuckDetector, StuckKind,
    StuckSettings,
};
use serde_json::json;

use crate::stage::{Stage, actor, click, code, goto};

const HINT: Option<Level> = Some(Level::Hint);
const WARNING: Option<Level> = Some(Level::Warning);
const STOP: Option<Level> = Some(Level::Stop);

fn detector() -> StuckDetector {
    StuckDetector::new(StuckSettings::default())
}

/// Feeds actions, one a letter; an upper-case one fails.
fn feed(detector: &mut StuckDetector, actions: &str) -> Vec<Option<Level>> {
    let actions = actions.bytes().map(|letter| Observed {
        what: Digest::of_json(&json!(letter.to_ascii_lowercase())),
        failed: letter.is_ascii_uppercase(),
        pages: Vec::new(),
    });
    actions.map(|action| detector.observe(&action).map(|stuck| stuck.level)).collect()
}

fn visit(detector: &mut StuckDetector, path: &str) -> Option<(StuckKind, Level)> {
    let page = Page::parse(&format!("https://a.example/{path}")).unwrap();
    let what = Digest::of_json(&json!(path));
    let stuck = detector.observe(&Observed { what, failed: false, pages: vec![page] });
    stuck.map(|stuck| (stuck.kind, stuck.level))
}

/// SG-01: the gap of a revisit is 5, and may be from 1 to 50; every setting has its bounds.
#[test]
fn settings_have_bounds() {
    assert_eq!(StuckSettings::default().stuck_revisit_gap, 5);
    for (gap, ok) in [(0, false), (1, true), (50, true), (51, false)] {
        let settings = StuckSettings { stuck_revisit_gap: gap, ..StuckSettings::default() };
        assert_eq!(settings.check().is_ok(), ok, "{gap}");
    }
    let default = StuckSettings::default;
    let refused = [
        (StuckSettings { stuck_repeat_hint: 1, ..default() }, "stuck_repeat_hint"),
        (StuckSettings { stuck_repeat_hint: 99, ..default() }, "stuck_repeat_hint"),
        (StuckSettings { stuck_repeat_warning: 3, ..default() }, "stuck_repeat_warning"),
        (StuckSettings { stuck_repeat_warning: 100, ..default() }, "stuck_repeat_warning"),
        (StuckSettings { stuck_repeat_stop: 5, ..default() }, "stuck_repeat_stop"),
        (StuckSettings { stuck_repeat_stop: 101, ..default() }, "stuck_repeat_stop"),
        (StuckSettings { stuck_window: 3, ..default() }, "stuck_window"),
        (StuckSettings { stuck_window: 101, ..default() }, "stuck_window"),
        (StuckSettings { stuck_cycle_repeats: 1, ..default() }, "stuck_cycle_repeats"),
        (StuckSettings { stuck_cycle_repeats: 11, ..default() }, "stuck_cycle_repeats"),
        (StuckSettings { stuck_failure_count: 1, ..default() }, "stuck_failure_count"),
        (StuckSettings { stuck_failure_window: 5, ..default() }, "stuck_failure_window"),
        (StuckSettings { stuck_failure_window: 101, ..default() }, "stuck_failure_window"),
    ];
    for (settings, name) in refused {
        match settings.check() {
            Err(ConfigError::Bounds { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    for (config, name) in [
        (GuardConfig { max_errors: 0, ..GuardConfig::default() }, "max_errors"),
        (GuardConfig { max_errors: 101, ..GuardConfig::default() }, "max_errors"),
        (GuardConfig { max_urls: 0, ..GuardConfig::default() }, "max_urls"),
        (GuardConfig { max_urls: 10_001, ..GuardConfig::default() }, "max_urls"),
    ] {
        let error = executus_guard::Guard::new(config).unwrap_err().to_string();
        assert!(error.starts_with(&format!("guard.{name} is ")), "{error}");
    }
}

/// SG-02: 3, 5 and 7 times the same in a row are hint, warning and stop; another one in between
/// begins the count anew.
#[test]
fn repetition_escalates() {
    let levels = feed(&mut detector(), "aaaaaaa");
    assert_eq!(levels, [None, None, HINT, HINT, WARNING, WARNING, STOP]);
    assert_eq!(feed(&mut detector(), "aabaabaab")[..8], [None; 8]);
    assert_eq!(feed(&mut detector(), "ababa"), [None; 5]);
    assert_eq!(feed(&mut detector(), "aabaaa")[5], HINT);
}

/// SG-03: A B three times is a hint at the sixth action, and escalates with each that goes on.
#[test]
fn cycles_escalate() {
    let levels = feed(&mut detector(), "abababab");
    assert_eq!(levels, [None, None, None, None, None, HINT, WARNING, STOP]);
}

/// SG-04: A B C three times is a hint at the ninth action within a window of 12, and never within 8.
#[test]
fn a_cycle_fits_the_window() {
    let levels = feed(&mut detector(), "abcabcabc");
    assert_eq!((levels[..8].to_vec(), levels[8]), (vec![None; 8], HINT));
    let settings = StuckSettings { stuck_window: 8, ..StuckSettings::default() };
    let levels = feed(&mut StuckDetector::new(settings), "abcabcabcabcabcabc");
    assert_eq!(levels, [None; 18]);
}

#[test]
fn failures_cluster() {
    let levels = feed(&mut detector(), "ABCxDEyFGHI");
    assert_eq!(levels[..7], [None; 7]);
    assert_eq!(levels[7..], [HINT, WARNING, WARNING, WARNING]);
}

/// SG-06: revisits are hint, hint, warning, and never a stop.
#[test]
fn revisits_never_stop() {
    let mut detector = detector();
    let first = ["1", "2", "3", "4", "5", "6"].map(|path| visit(&mut detector, path));
    assert_eq!(first, [None; 6]);
    let flagged = |level| Some((StuckKind::Revisit, level));
    let (hint, warning) = (flagged(Level::Hint), flagged(Level::Warning));
    let again = ["1", "2", "3", "4", "5", "6"].map(|path| visit(&mut detector, path));
    assert_eq!(again, [hint, hint, warning, warning, warning, warning]);
}

/// A page that was just seen is no revisit; one that was left as long ago as the gap is.
#[test]
fn a_revisit_has_a_gap() {
    let mut detector = detector();
    for path in ["1", "2", "1", "3", "4", "5"] {
        assert_eq!(visit(&mut detector, path), None, "{path}");
    }
    assert_eq!(visit(&mut detector, "3"), None);
    assert!(visit(&mut detector, "1").is_some());
}

/// SG-10: a clean action takes the count down by one, not below 0; a reset forgets everything.
#[test]
fn a_clean_action_takes_the_count_down() {
    let mut detector = detector();
    feed(&mut detector, "ababab");
    assert_eq!(detector.detections(), 1);
    feed(&mut detector, "a");
    assert_eq!(detector.detections(), 2);
    feed(&mut detector, "x");
    assert_eq!(detector.detections(), 1);
    feed(&mut detector, "yz");
    assert_eq!(detector.detections(), 0);
    visit(&mut detector, "1");
    detector.reset();
    assert_eq!(feed(&mut detector, "abcde"), [None; 5]);
    assert_eq!(visit(&mut detector, "1"), None);
}

/// SG-11: the action that is one too many is answered with the stop, and none is made after it.
#[tokio::test]
async fn a_stop_ends_the_actions() {
    let stage = Stage::new(GuardConfig::default());
    let (made, look) = (actor("look"), actor("other"));
    let tool = stage.guard.wrap(made.clone(), Role::default());
    let other = stage.guard.wrap(look.clone(), Role::default());
    for _ in 0..6 {
        stage.call(&*tool, json!({})).await.unwrap();
    }
    let stop = stage.call(&*tool, json!({})).await.unwrap_err();
    assert_eq!(code(&stop), "stuck");
    assert!(stop.to_string().contains("made 7 times in a row"), "{stop}");
    assert_eq!(made.calls().len(), 7);
    for tool in [&tool, &other] {
        let refused = stage.call(&**tool, json!({"n": 1})).await.unwrap_err();
        assert_eq!(code(&refused), "stopped");
    }
    assert_eq!((made.calls().len(), look.calls().len()), (7, 0));
    let levels: Vec<_> = stage.signals().iter().map(|signal| signal.level).collect();
    assert_eq!(levels[4], Level::Stop);
    stage.guard.reset(&"run".parse_id());
    stage.call(&*tool, json!({})).await.unwrap();
}

trait ParseId {
    fn parse_id(&self) -> executus_core::RunId;
}

impl ParseId for str {
    fn parse_id(&self) -> executus_core::RunId {
        executus_core::RunId::new(self).unwrap()
    }
}

/// SG-12: what is found stands before the text of a success; an error is kept as it is.
#[tokio::test]
async fn what_is_found_stands_before_the_text() {
    let stage = Stage::new(GuardConfig { max_errors: 100, ..GuardConfig::default() });
    let tool = stage.guard.wrap(actor("look"), Role::default());
    let mut texts = Vec::new();
    for _ in 0..5 {
        texts.push(stage.call(&*tool, json!({})).await.unwrap());
    }
    assert_eq!(texts[..2], ["ok", "ok"]);
    assert_eq!(
        texts[2],
        "[guard] Hint: the same action was made 3 times in a row. Try something else.\nok"
    );
    assert!(texts[4].starts_with("[guard] Warning: the same action was made 5 times"), "{texts:?}");
    let mut errors = Vec::new();
    for _ in 0..5 {
        errors.push(stage.call(&*tool, json!({"fail": 1})).await.unwrap_err());
    }
    assert_eq!(errors, vec![ToolError::failed("failed: 1"); 5]);
}

/// SG-13: five errors in a row are borne, the sixth stops; a success begins anew.
#[tokio::test]
async fn errors_in_a_row_stop() {
    let stage = Stage::new(GuardConfig::default());
    let tool = stage.guard.wrap(actor("look"), Role::default());
    for round in 0..2 {
        for n in 0..5 {
            let error = stage.call(&*tool, json!({"fail": n + 10 * round})).await.unwrap_err();
            assert_eq!(error, ToolError::failed(format!("failed: {}", n + 10 * round)));
        }
        if round == 0 {
            assert_eq!(stage.signals(), []);
            stage.call(&*tool, json!({})).await.unwrap();
            stage.call(&*tool, json!({"n": 1})).await.unwrap();
            stage.call(&*tool, json!({"n": 2})).await.unwrap();
        }
    }
    stage.signals();
    let stop = stage.call(&*tool, json!({"fail": 99})).await.unwrap_err();
    assert_eq!(code(&stop), "errors");
    assert!(stop.to_string().contains("6 actions in a row failed"), "{stop}");
    assert!(stop.to_string().contains("failed: 99"), "{stop}");
    let signals = stage.signals();
    assert_eq!((signals[0].kind, signals[0].level), (SignalKind::Errors, Level::Stop));
    assert_eq!(code(&stage.call(&*tool, json!({})).await.unwrap_err()), "stopped");
}

/// SG-08: a failed navigation is not remembered; where a click led to is.
#[tokio::test]
async fn what_was_seen_is_remembered() {
    let stage = Stage::new(GuardConfig::default());
    let (_, goto) = goto(&stage);
    let (_, click) = click(&stage);
    let page = |n: u32| json!({"url": format!("https://a.example/{n}")});
    let mut failing = page(1);
    failing["fail"] = json!(true);
    stage.call(&*goto, failing).await.unwrap_err();
    let led = json!({"text": "Next", "to": "https://a.example/2/"});
    stage.call(&*click, led).await.unwrap();
    for n in 3..7 {
        assert_eq!(stage.call(&*goto, page(n)).await.unwrap(), "ok");
    }
    assert_eq!(stage.call(&*goto, page(1)).await.unwrap(), "ok", "it was never seen");
    let text = stage.call(&*goto, page(2)).await.unwrap();
    assert!(text.starts_with("[guard] Hint: this page was left 6 actions ago"), "{text}");
}

/// A panic of a tool is a failure like any other.
#[tokio::test]
async fn a_panic_is_a_failure() {
    let stage = Stage::new(GuardConfig::default());
    let panics = executus_testkit::scripted::ScriptedTool::new(
        "look",
        executus_testkit::scripted::Do::Panic,
    );
    let tool: Arc<dyn Tool> = stage.guard.wrap(panics.shared(), Role::default());
    for n in 0..5 {
        let error = stage.call(&*tool, json!({"n": n})).await.unwrap_err();
        assert!(matches!(error, ToolError::Panicked { .. }), "{error}");
    }
    assert_eq!(code(&stage.call(&*tool, json!({"n": 6})).await.unwrap_err()), "errors");
}
