use super::*;
use crate::journal::EnergyBasis;

fn counted(seconds: i64, kwh: f64) -> Reading {
    let points = vec![(PointId::from("energyConsumedTotal"), Value::Number(kwh))];
    Reading { points, ..reading("meter", START + seconds * 1000, 0.0) }
}

#[tokio::test]
async fn increments_go_on_over_a_kill_and_a_clean_restart() {
    let home = Home::new();
    let (journal, _) = home.open();
    journal.publish(vec![counted(0, 10.0), counted(60, 10.1)]).await.unwrap();
    until("both are taken", || async { home.taken.lock().unwrap().len() == 2 }).await;
    drop(journal);
    let (journal, _) = home.open();
    journal.publish_durable(vec![counted(120, 10.25)]).await.unwrap();
    journal.close().await.unwrap();
    let (journal, _) = home.open();
    journal.publish_durable(vec![counted(180, 10.3)]).await.unwrap();
    let stored = journal.reader().stored_after(0, 10).await.unwrap();
    let increments: Vec<_> = stored.iter().map(|stored| stored.energy.consumed.increment).collect();
    assert_eq!(increments, [None, Some(100), Some(150), Some(50)]);
    assert!(stored.iter().all(|stored| stored.energy.basis == EnergyBasis::Counter));
    assert_eq!(stored[3].energy.consumed.total, Some(10_300));
    journal.close().await.unwrap();
}
