//! The front's sign of life: asked for, given, missing, made up.

use super::*;

#[tokio::test]
async fn a_front_that_answers_pings_stays_and_one_that_falls_silent_ends_the_guard() {
    let mut played = play();
    played.send(&FromFront::Ready).await;
    let mut last = 0;
    for _ in 0..20 {
        let FromCore::Ping(number) = played.next().await else { panic!("no ping") };
        assert!(last < number);
        last = number;
        played.send(&FromFront::Pong(number)).await;
        assert!(played.pulse.answers());
    }
    assert!(matches!(played.next().await, FromCore::Ping(_)));
    let pulse = played.pulse.clone();
    let fault = played.ends().await.unwrap_err();
    assert!(matches!(fault, LinkFault::Silent(_)) && !fault.is_breach(), "{fault}");
    assert!(!pulse.answers());
}

/// The way of answers is full to the brim, and the core waits at it.
#[tokio::test(flavor = "multi_thread")]
async fn a_front_that_hangs_with_answers_untaken_is_noticed_too() {
    let mut played = play();
    played.send(&FromFront::Ready).await;
    let body = vec![b' '; 64 << 10];
    let flood = async {
        for id in 0..100_000_u64 {
            played.send(&ask(id, Question::Rpc { body: body.clone() })).await;
        }
    };
    drop(tokio::time::timeout(Duration::from_millis(100), flood).await);
    let fault = played.ends().await.unwrap_err();
    assert!(matches!(fault, LinkFault::Silent(_)), "{fault}");
}

#[tokio::test]
async fn a_front_that_does_not_serve_yet_is_not_asked() {
    let mut played = play();
    let asked = tokio::time::timeout(Duration::from_millis(200), played.next()).await;
    assert!(asked.is_err() && !played.serving.is_finished());
}

#[tokio::test]
async fn a_sign_of_life_that_was_not_asked_for_is_a_breach() {
    for numbers in [&[7][..], &[1, 1], &[u64::MAX]] {
        let mut played = play();
        played.send(&FromFront::Ready).await;
        let FromCore::Ping(1) = played.next().await else { panic!("no ping") };
        for number in numbers {
            played.send(&FromFront::Pong(*number)).await;
        }
        let fault = played.ends().await.unwrap_err();
        assert!(matches!(fault, LinkFault::UnaskedPong) && fault.is_breach(), "{fault}");
    }
}
