//! The rarity of short texts in a job's output, estimated from pairs of bytes.

/// The weight of a pair of bytes that was never seen, as a number of pairs.
const UNSEEN: f32 = 0.1;

/// Lines such as training scripts write, for a first estimate before the job has written anything.
const TYPICAL: &[u8] = b"\
2024-05-21 16:08:34,211 INFO train.py:118 - epoch 12/90 step 23500 loss: 0.4312 accuracy: 0.8731 lr: 0.00012 time: 0.351s\n\
Epoch [3/10], Step [100/600], Loss: 0.1234, train_loss=1.2345e-05, val_loss=0.2345, val_acc=0.9123\n\
{'loss': 2.3026, 'grad_norm': 1.7342, 'learning_rate': 4.9e-05, 'epoch': 0.02}\n\
[1,0]<stdout>: 100/469 [=====>........................] - ETA: 12s - loss: 0.3456 - accuracy: 0.8987\n\
Train Epoch: 1 [25600/60000 (43%)] Loss: 0.345678 images/sec: 1234.5 memory: 12345 MB\n\
[2024-05-21:16:08:34:INFO] Saving model checkpoint to /opt/ml/checkpoints/step-23500, evaluating the test set ...\n\
validation: precision=0.712, recall=0.655, f1=0.682, auc=0.911, rmse=12.31; samples per second 812.22\n";

/// The counts of pairs of bytes in a sample.
#[derive(Debug)]
pub(super) struct Rarity {
    /// A sample has fewer than 2<sup>16</sup> pairs.
    pairs: Vec<u16>,
    singles: [u32; 256],
    total: u32,
}

impl Rarity {
    /// Returns the estimate for output about which nothing is known.
    pub(super) fn typical() -> Rarity {
        Rarity::of(TYPICAL)
    }

    /// Counts the pairs of bytes in the first 64 KiB of a sample.
    pub(super) fn of(sample: &[u8]) -> Rarity {
        let mut rarity = Rarity { pairs: vec![0; 1 << 16], singles: [0; 256], total: 0 };
        for pair in sample.windows(2).take(usize::from(u16::MAX)) {
            rarity.pairs[usize::from(pair[0]) << 8 | usize::from(pair[1])] += 1;
            rarity.singles[usize::from(pair[0])] += 1;
            rarity.total += 1;
        }
        rarity
    }

    /// Returns the estimated frequency of a text, as a share of all positions in the output.
    pub(super) fn frequency(&self, text: &[u8]) -> f32 {
        let Some(first) = text.first() else { return 1.0 };
        let share = |count: u32, of: u32, kinds: f32| (count as f32 + UNSEEN) / (of as f32 + UNSEEN * kinds);
        text.windows(2).fold(share(self.singles[usize::from(*first)], self.total, 256.0), |frequency, pair| {
            let count = self.pairs[usize::from(pair[0]) << 8 | usize::from(pair[1])];
            frequency * share(u32::from(count), self.singles[usize::from(pair[0])], 256.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Rarity;

    #[test]
    fn a_text_that_the_sample_has_often_is_less_rare() {
        let rarity = Rarity::typical();
        for (frequent, rare) in [("loss", "zqxj"), (": 0.", "mAP("), ("e", "f1"), ("0.", "0.2345")] {
            let (one, other) = (rarity.frequency(frequent.as_bytes()), rarity.frequency(rare.as_bytes()));
            assert!(one > other, "{frequent} {one}, {rare} {other}");
        }
    }

    #[test]
    fn an_empty_sample_makes_longer_texts_rarer() {
        let rarity = Rarity::of(b"");
        assert!(rarity.frequency(b"ab") > rarity.frequency(b"abc"));
        assert!(rarity.frequency(b"abc") > 0.0);
    }
}
