// dialog.tsx - questions before what cannot be taken back, and short words after what was done, with a way back where there
// is one. One host for all of them, so that any screen can call ask() and toast().
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { text } from './api';
import { Button, Icon } from './ui';

interface Question { title: string; body?: ComponentChildren; action: string; bad?: boolean; answer: (yes: boolean) => void }
interface Toast { id: number; words: string; bad?: boolean; undo?: (() => Promise<unknown>) | undefined }

let show: (question: Question) => void = () => undefined;
let pop: (toast: Toast) => void = () => undefined;
let last = 0;

export function ask(title: string, options: { body?: ComponentChildren; action: string; bad?: boolean }): Promise<boolean> {
  return new Promise((answer) => show({ title, ...options, answer }));
}

export function toast(words: string, undo?: () => Promise<unknown>): void {
  pop({ id: ++last, words, undo });
}

/** Does it, says so (not when quietly), or says why not. True when it was done. */
export async function act(words: string, what: () => Promise<unknown>, undo?: () => Promise<unknown>, quietly = false): Promise<boolean> {
  try {
    await what();
    if (!quietly) toast(words, undo);
    return true;
  } catch (error) {
    pop({ id: ++last, words: text(error), bad: true });
    return false;
  }
}

export function Modal({ title, onClose, children, class: name = '' }: {
  title?: string; onClose: () => void; children: ComponentChildren; class?: string;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const node = dialog.current!;
    const before = document.activeElement;
    node.showModal();
    return () => { node.close(); if (before instanceof HTMLElement && before.isConnected) before.focus(); };
  }, []);
  return <dialog ref={dialog} class={name} aria-label={title} onCancel={(event) => { event.preventDefault(); onClose(); }}
    onClick={(event) => { if (event.target === dialog.current) onClose(); }}>
    {title && <h2>{title}</h2>}{children}
  </dialog>;
}

function Ask({ question, done }: { question: Question; done: () => void }) {
  const end = (yes: boolean) => { question.answer(yes); done(); };
  return <Modal title={question.title} onClose={() => end(false)}>
    {question.body && <div>{question.body}</div>}
    <div class="actions">
      <Button onClick={() => end(false)}>Cancel</Button>
      <Button kind={question.bad ? 'bad' : 'main'} onClick={() => end(true)}>{question.action}</Button>
    </div>
  </Modal>;
}

export function DialogHost() {
  const [question, setQuestion] = useState<Question | null>(null);
  const [toasts, setToasts] = useState<Toast[]>([]);
  const drop = (id: number) => setToasts((all) => all.filter((one) => one.id !== id));
  useEffect(() => {
    show = setQuestion;
    pop = (one) => {
      setToasts((all) => [...all.slice(-2), one]);
      window.setTimeout(() => drop(one.id), one.bad ? 15000 : 9000);
    };
  }, []);
  const undo = (one: Toast) => {
    drop(one.id);
    void act('Undone.', one.undo!);
  };
  return <>
    {question && <Ask question={question} done={() => setQuestion(null)} />}
    <div class="toasts" role="status" aria-live="polite">
      {toasts.map((one) => <div class="toast" key={one.id}>
        <Icon name={one.bad ? 'warn' : 'ok'} /><span>{one.words}</span>
        {one.undo && <button type="button" onClick={() => undo(one)}>Undo</button>}
        <button type="button" aria-label="Dismiss" onClick={() => drop(one.id)}><Icon name="fail" /></button>
      </div>)}
    </div>
  </>;
}
